"""The processor and the machine: how many threads, which instructions, how much memory."""
