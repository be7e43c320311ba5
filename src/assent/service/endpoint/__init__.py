"""The endpoint: policies and reward models behind the HTTP interface that OpenAI's clients speak, for evaluation."""
