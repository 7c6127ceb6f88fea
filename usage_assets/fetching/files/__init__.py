"""Reports that are delivered as files: in a folder of this machine or in an object store."""
