"""What a run means: the verdict, the cures beside it, plots, one page of HTML."""
