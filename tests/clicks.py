"""A small schema of users who click pages, for tests that need a workspace and no more."""

from __future__ import annotations

__all__ = ["SCHEMA"]

SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: test}
spec:
  entities: {user: {who: true}, page: {}}
  edges: {Read: {from: user, to: page}}
  events:
    click:
      entities: {user: user, page: {fields: page, properties: [title]}}
      edges: [{type: Read, from: user, to: page}]
  references:
    users: {entities: {user: {fields: user, properties: [name]}}}
"""
