"""Where replicas are, and how the processes of one run find each other and agree."""
