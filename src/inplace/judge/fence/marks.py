"""Files in the folder of a replay: its order, and those that tell the warden where the user's code begins and ends."""

ORDER = "order.json"
BEGUN, ENDED = "begun", "ended"
