"""The public Wan2.2-Animate-14B behind our seam: poses and faces drawn its way, segment by segment."""
