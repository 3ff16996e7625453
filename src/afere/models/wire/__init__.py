"""Codecs of the providers' protocols: pure functions between requests, bytes and events."""
