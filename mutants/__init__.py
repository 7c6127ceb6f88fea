"""Does a test fail when the product is wrong? Small faults are put into it, one at a time (``make mutants``).

mutmut's operators make the mutants. What mutmut cannot do is here: it mutates no module level, rewrites every function,
and cannot judge the same mutants with the tests of another checkout.
"""
