"""What the newest SDKs of the providers, and our schemas, have and our declarations lack: ``make drift``."""
