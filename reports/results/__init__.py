"""A result as data: result.json, JUnit XML, and whether a result contradicts itself."""
