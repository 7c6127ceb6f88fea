"""FOCUS files: bills of Bedrock, Azure OpenAI, Vertex and others, without an account there."""
