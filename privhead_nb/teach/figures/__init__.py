"""Pictures of the lessons, a file for each subject: functions that make a matplotlib figure."""
