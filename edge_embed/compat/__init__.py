"""Stand-ins under other packages' names, for programs that cannot be changed; each is asked for."""
