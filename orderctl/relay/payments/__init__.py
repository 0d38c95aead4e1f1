"""The relay takes what banks tell of transfers: who may tell, how it is read, and that it is written before the answer."""
