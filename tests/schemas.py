"""Entity schemas that several tests share; a test that needs one of its own writes it down itself."""

from __future__ import annotations

__all__ = ["CLICKS", "PAGES", "PLAYS", "SHELVES", "USES", "VIEWS"]

PAGES = """\
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
"""Users who click pages, with what is told of both."""

CLICKS = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: clicks, name: Clicks, version: 1}
spec:
  timezone: Europe/Berlin
  timestamp: {fields: [time], timezone: UTC}
  entities:
    user: {who: true}
    page: {}
  edges:
    Visited: {from: user, to: page}
  events:
    click:
      entities: {user: user, page: page}
      edges: [{type: Visited, from: user, to: page}]
"""
"""Users who click pages, shown in a zone that is not UTC; it ends with its one event type."""

VIEWS = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: views}
spec:
  timezone: UTC
  entities: {user: {who: true}, item: {}}
  edges: {Saw: {from: user, to: item}}
  events:
    View: {entities: {user: user, item: item}, edges: [{type: Saw, from: user, to: item}]}
    Fail: {entities: {user: user}}
"""
"""Users who view items, and fail."""

PLAYS = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: plays}
spec:
  entities: {member: {who: true}, game: {}}
  edges:
    Played: {from: member, to: game}
  events:
    Play:
      entities: {member: member, game: game}
      edges: [{type: Played, from: member, to: game}]
"""
"""Members who play games."""

USES = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: uses}
spec:
  fields: {test_account: isTest}
  entities: {member: {who: true}, game: {}, platform: {attribute: true}}
  edges:
    Played: {from: member, to: game}
    Used: {from: member, to: platform}
  events:
    Play:
      entities: {member: member, game: game, platform: platform}
      edges:
        - {type: Played, from: member, to: game}
        - {type: Used, from: member, to: platform}
      text: "played {game} on {platform}"
"""
"""Members who play games on platforms, test accounts among them."""

SHELVES = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shelves}
spec:
  entities: {reader: {who: true}, book: {}}
  edges: {Read: {from: reader, to: book}}
  events:
    Loan:
      entities: {reader: reader, book: book}
      edges: [{type: Read, from: reader, to: book}]
      text: "read {title}"
    Visit:
      entities: {reader: reader}
"""
"""Readers who borrow books, with a text of each loan, and visits without one."""
