"""The reading wing behind the formats: bytes become records, and the scores of their pairs become answers."""
