"""The codecs of the relay's clients: they translate between bytes and values, without I/O."""
