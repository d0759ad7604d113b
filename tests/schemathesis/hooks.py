"""What a JSON schema cannot say of good requests."""

import schemathesis
