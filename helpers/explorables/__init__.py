"""Pictures that answer. One file an explorable, its JavaScript beside it; none asks for anything off the machine."""
