import ArgumentParser
import Foundation
import StoreClient
import StoreState

/// `hotrack store lease`
struct StoreLeaseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lease",
    abstract: "Grant, keep, look at and revoke leases.",
    discussion: """
      A lease's number is a fencing token too: greater than that of every earlier lease of its group.
      """,
    subcommands: [Grant.self, Revoke.self, KeepAlive.self, TimeToLive.self])

  struct Grant: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Grant a lease.", discussion: StoreOptions.exitCodes)
    @Argument(help: "Its time to live, in seconds.")
    var ttl: UInt64
    @OptionGroup var group: GroupOption
    @OptionGroup var options: StoreOptions

    func validate() throws {
      guard (1...31_536_000).contains(ttl) else {
        throw ValidationError("a lease lives 1 to 31536000 seconds")
      }
    }

    func run() async throws {
      try await options.run { client in
        let change = try await client.propose(
          Command(.grantLease(timeToLive: ttl * 1_000_000_000)), group: group.group)
        guard case .lease(let id) = change.response else { throw StoreClientError.unexpectedReply }
        if options.json {
          StoreText.json(LeaseJSON(id: id, grantedTtl: ttl))
        } else {
          StoreText.line("lease \(StoreText.lease(id)) granted with TTL(\(ttl)s)")
        }
      }
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "End a lease; its keys go with it.", discussion: StoreOptions.exitCodes)
    @Argument(help: "The lease.", transform: StoreText.lease(parsing:))
    var lease: UInt64
    @OptionGroup var group: GroupOption
    @OptionGroup var options: StoreOptions

    func run() async throws {
      try await options.run { client in
        _ = try await client.propose(Command(.revoke(lease: lease)), group: group.group)
        if options.json {
          StoreText.json(LeaseJSON(id: lease))
        } else {
          StoreText.line("lease \(StoreText.lease(lease)) revoked")
        }
      }
    }
  }

  struct KeepAlive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Renew a lease, again and again until interrupted.",
      discussion: StoreOptions.exitCodes)
    @Argument(help: "The lease.", transform: StoreText.lease(parsing:))
    var lease: UInt64
    @Flag(help: "Renew it once.")
    var once = false
    @OptionGroup var group: GroupOption
    @OptionGroup var options: StoreOptions

    func run() async throws {
      try await options.run { client in
        let read = try await client.read(.lease(lease), group: group.group)
        guard case .lease(let found) = read.answer else { throw StoreClientError.unexpectedReply }
        let seconds = found.timeToLive / 1_000_000_000
        while true {
          _ = try await client.propose(Command(.keepAlive(lease: lease)), group: group.group)
          if options.json {
            StoreText.json(LeaseJSON(id: lease, grantedTtl: seconds))
          } else {
            StoreText.line("lease \(StoreText.lease(lease)) keepalived with TTL(\(seconds))")
          }
          if once { return }
          try await Task.sleep(for: .nanoseconds(found.timeToLive / 3))
        }
      }
    }
  }

  struct TimeToLive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "timetolive", abstract: "Show a lease.", discussion: StoreOptions.exitCodes)
    @Argument(help: "The lease.", transform: StoreText.lease(parsing:))
    var lease: UInt64
    @OptionGroup var group: GroupOption
    @OptionGroup var options: StoreOptions

    func run() async throws {
      try await options.run { client in
        let read = try await client.read(.lease(lease), group: group.group)
        guard case .lease(let found) = read.answer else { throw StoreClientError.unexpectedReply }
        let seconds = found.timeToLive / 1_000_000_000
        if options.json {
          StoreText.json(LeaseJSON(id: lease, grantedTtl: seconds, renewals: found.renewals))
        } else {
          StoreText.line(
            "lease \(StoreText.lease(lease)) granted with TTL(\(seconds)s), "
              + "renewed \(found.renewals) times")
        }
      }
    }
  }

  private struct LeaseJSON: Encodable {
    var id: UInt64
    var grantedTtl: UInt64?
    var renewals: UInt64?
  }
}

/// `hotrack store compact REVISION`
struct StoreCompactCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact",
    abstract: "Forget the changes up to a revision, which watches can then no longer ask for.",
    discussion: StoreOptions.exitCodes)

  @Argument(help: "The revision.")
  var revision: UInt64
  @OptionGroup var group: GroupOption
  @OptionGroup var options: StoreOptions

  func run() async throws {
    try await options.run { client in
      _ = try await client.propose(Command(.compact(revision: revision)), group: group.group)
      if !options.json { StoreText.line("compacted revision \(revision)") }
    }
  }
}
