"""Hosts: processes that run activations, the links that lead to them, and where an address lives.

Outside in: directory (the gateway's side: address -> host -> link), link_client | link_server (the same frames on both
ends), catalog (address -> activation), inbox and scheduler (whose turn it is), watchdog; ray_cluster holds every ray
call. What an activation is, actors.activation knows.
"""
