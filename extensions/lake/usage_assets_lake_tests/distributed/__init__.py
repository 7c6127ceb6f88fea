"""The distributed drill: the product on several hosts, with everything that can be cut off or stopped between them.

`make distributed` needs Linux and root, and nothing else: the hosts are namespaces of this machine (network.py).

    main     10.231.0.1    PostgreSQL (the lake's catalog and Dagster's storages), web server, daemon, code location
    east     10.231.0.2    code location of the shard east: Anthropic
    west     10.231.0.3    code location of the shard west: ChatGPT
    store    10.231.0.4    object store: the lake's files
    outside  10.231.0.254  the emulated providers and Port, which each host reaches by a forward on its loopback

What happens on them, and what must stand then, is story.py. Each step prints one line. At the first difference the
drill says what it is, leaves its folder with all logs, and exits with 1.
"""
