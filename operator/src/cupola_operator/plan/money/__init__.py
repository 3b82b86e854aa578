"""What time on devices comes to: money, energy, failures; rent or buy."""
