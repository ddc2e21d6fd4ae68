"""The privacy lab: attacks on what a release holds, and scores that say what they got."""
