"""The DuckDuckGo AI Chat protocol, sans IO."""
