"""Files that a replay makes in its folder, by which the warden knows where the user's code begins and ends."""

BEGUN, ENDED = "begun", "ended"
