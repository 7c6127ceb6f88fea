"""OpenRouter: what an account spent of its credits, per day, model and provider behind it. Declarations only."""
