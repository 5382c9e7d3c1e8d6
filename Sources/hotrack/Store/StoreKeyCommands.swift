import ArgumentParser
import Foundation
import Paxos
import StoreClient
import StoreState

/// `hotrack store get KEY`
struct StoreGetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Read keys.",
    discussion: """
      Prints each key and its value, a line each, as etcdctl does; nothing for a key that is not \
      there.

      \(StoreOptions.exitCodes)
      """)

  @OptionGroup var range: RangeOptions
  @OptionGroup var group: GroupOption
  @OptionGroup var options: StoreOptions

  @Option(help: "At most so many keys.")
  var limit: Int?

  @Option(
    help: """
      l: linearizable, everything that was acknowledged before; s: serializable, what one node has.
      """)
  var consistency = "l"

  @Option(
    help: ArgumentHelp(
      "Take what one node has, if it was up to date within so many milliseconds.",
      valueName: "ms"))
  var maxStale: UInt64?

  @Flag(help: "Print keys, no values.")
  var keysOnly = false

  @Flag(help: "Print values, no keys.")
  var printValueOnly = false

  @Flag(help: "Print how many keys there are.")
  var countOnly = false

  func validate() throws {
    guard ["l", "s"].contains(consistency) else {
      throw ValidationError("--consistency is l or s")
    }
    if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
    if let maxStale, maxStale > 3_600_000 {
      throw ValidationError("--max-stale is at most 3600000 ms")
    }
  }

  private var mode: ReadMode {
    if let maxStale { return .boundedStale(maxStale * 1_000_000) }
    return consistency == "s" ? .serializable : .linearizable
  }

  func run() async throws {
    try await options.run { client in
      let read = try await client.read(
        .range(range.range, limit: limit), group: group.group, mode)
      guard case .range(let pairs, let more, let revision) = read.answer else {
        throw StoreClientError.unexpectedReply
      }
      if options.json {
        StoreText.json(
          Report(
            header: HeaderJSON(revision: revision, entry: read.entry),
            kvs: countOnly ? nil : pairs.map { PairJSON($0, keysOnly: keysOnly) },
            more: more, count: pairs.count))
      } else if countOnly {
        StoreText.line("\(pairs.count)")
      } else {
        for pair in pairs {
          if !printValueOnly { StoreText.line(pair.key) }
          if !keysOnly { StoreText.line(pair.value) }
        }
      }
    }
  }

  private struct Report: Encodable {
    var header: HeaderJSON
    var kvs: [PairJSON]?
    var more: Bool
    var count: Int
  }
}

/// `hotrack store put KEY [VALUE]`
struct StorePutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "put",
    abstract: "Set a key.",
    discussion: """
      Without VALUE, the value is what comes on standard input. Prints OK.

      \(StoreOptions.exitCodes)
      """)

  @Argument(help: "The key.")
  var key: String

  @Argument(help: "Its new value; absent: standard input.")
  var value: String?

  @OptionGroup var group: GroupOption
  @OptionGroup var options: StoreOptions

  @Option(help: "The key goes when this lease does.", transform: StoreText.lease(parsing:))
  var lease: UInt64?

  @Flag(help: "Print what the key had before.")
  var prevKv = false

  func run() async throws {
    let bytes =
      value.map { Array($0.utf8) } ?? Array(FileHandle.standardInput.readDataToEndOfFile())
    try await options.run { client in
      let change = try await client.propose(
        Command(.transaction(.put(Array(key.utf8), bytes, lease: lease))), group: group.group)
      guard case .transaction(_, let results, let revision) = change.response,
        case .put(let previous)? = results.first
      else { throw StoreClientError.unexpectedReply }
      if options.json {
        StoreText.json(
          Report(
            header: HeaderJSON(revision: revision, entry: change.entry),
            prevKv: prevKv ? previous.map { PairJSON($0) } : nil))
        return
      }
      StoreText.line("OK")
      if prevKv, let previous {
        StoreText.line(previous.key)
        StoreText.line(previous.value)
      }
    }
  }

  private struct Report: Encodable {
    var header: HeaderJSON
    var prevKv: PairJSON?
  }
}

/// `hotrack store delete KEY`
struct StoreDeleteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Remove keys.",
    discussion: """
      Prints how many keys were removed.

      \(StoreOptions.exitCodes)
      """,
    aliases: ["del"])

  @OptionGroup var range: RangeOptions
  @OptionGroup var group: GroupOption
  @OptionGroup var options: StoreOptions

  @Flag(help: "Print what was removed.")
  var prevKv = false

  func run() async throws {
    try await options.run { client in
      let change = try await client.propose(
        Command(.transaction(Transaction(success: [.delete(range.range)]))), group: group.group)
      guard case .transaction(_, let results, let revision) = change.response,
        case .deleted(let pairs)? = results.first
      else { throw StoreClientError.unexpectedReply }
      if options.json {
        StoreText.json(
          Report(
            header: HeaderJSON(revision: revision, entry: change.entry), deleted: pairs.count,
            prevKvs: prevKv ? pairs.map { PairJSON($0) } : nil))
        return
      }
      StoreText.line("\(pairs.count)")
      for pair in prevKv ? pairs : [] {
        StoreText.line(pair.key)
        StoreText.line(pair.value)
      }
    }
  }

  private struct Report: Encodable {
    var header: HeaderJSON
    var deleted: Int
    var prevKvs: [PairJSON]?
  }
}

/// `hotrack store cas KEY [EXPECTED] VALUE`
struct StoreCASCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cas",
    abstract: "Set a key if it has an expected value.",
    discussion: """
      Prints SUCCESS, or FAILURE and what the key has (nothing if it is not there).

      \(StoreOptions.exitCodes)
      """)

  @Argument(help: "The key.")
  var key: String

  @Argument(help: "Its new value.")
  var value: String

  @Option(help: "The value it has to have.")
  var expected: String?

  @Flag(help: "It must not be there.")
  var absent = false

  @OptionGroup var group: GroupOption
  @OptionGroup var options: StoreOptions

  func validate() throws {
    guard absent != (expected != nil) else {
      throw ValidationError("give either --expected VALUE or --absent")
    }
  }

  func run() async throws {
    try await options.run { client in
      let change = try await client.propose(
        Command(
          .transaction(
            .compareAndSwap(
              Array(key.utf8), expected: expected.map { Array($0.utf8) }, value: Array(value.utf8)))
        ), group: group.group)
      guard case .transaction(let succeeded, let results, let revision) = change.response else {
        throw StoreClientError.unexpectedReply
      }
      var found: KeyValue?
      if case .range(let pairs, _)? = results.first { found = pairs.first }
      if options.json {
        StoreText.json(
          Report(
            header: HeaderJSON(revision: revision, entry: change.entry), succeeded: succeeded,
            kv: found.map { PairJSON($0) }))
      } else {
        StoreText.line(succeeded ? "SUCCESS" : "FAILURE")
        if let found { StoreText.line(found.value) }
      }
      if !succeeded { throw ExitCode(4) }
    }
  }

  private struct Report: Encodable {
    var header: HeaderJSON
    var succeeded: Bool
    var kv: PairJSON?
  }
}
