"""When each end of a session with PostgreSQL notices that the other one was cut off, or does not answer."""

KEEPALIVES = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",  # milliseconds: while an answer is under way, no keepalive is sent
}
"""Parameters of a connection: when our end notices, in seconds."""
CONNECTED = {"connect_timeout": "10"}
"""How long our end waits for a server that does not answer, in seconds."""
FREED_AFTER = " ".join(f"-c {name if name.startswith('tcp') else f'tcp_{name}'}={n}" for name, n in KEEPALIVES.items())
"""Options of a session: when PostgreSQL notices, which releases its locks then. 30 + 3 x 10 s, or a minute."""
