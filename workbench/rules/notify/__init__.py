"""Notifications: where they may go, in which form, how often they are tried."""
