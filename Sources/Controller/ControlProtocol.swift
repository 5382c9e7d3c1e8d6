public import ControllerCore
internal import Foundation
internal import Wire

/// One line of JSON that a process writes to the control socket (docs/control-socket.md).
public struct ControlRequest: Sendable, Equatable, Codable {
  /// What may be asked for.
  public enum Command: String, Sendable, Codable, CaseIterable {
    case status, keys, servers, counters, events, promotions, moves
    case promote, demote, retarget, floor, automatic, drain, add, reload
    case demoteAll = "demote_all"
  }

  public var command: Command
  /// The key that is meant, as text.
  public var key: String?
  /// The key that is meant, as hexadecimal digits; for keys that are not text.
  public var keyHex: String?
  /// With `automatic`: whether the policy promotes and demotes by itself.
  public var on: Bool?
  /// With `drain` and `add`: the number of the server.
  public var server: Int?
  /// With `events`, `promotions` and `moves`: only those with a greater number.
  public var since: UInt64?
  /// With `keys`, `events`, `promotions` and `moves`: so many at most; 1,000 unless given.
  public var limit: Int?

  /// A request for this, with the fields that it needs.
  public init(
    _ command: Command, key: String? = nil, keyHex: String? = nil, on: Bool? = nil,
    server: Int? = nil, since: UInt64? = nil, limit: Int? = nil
  ) {
    self.command = command
    self.key = key
    self.keyHex = keyHex
    self.on = on
    self.server = server
    self.since = since
    self.limit = limit
  }

  /// Reads one line; the error says what is wrong with it.
  package init(line: some Sequence<UInt8>) throws(ControlProblem) {
    do {
      self = try ControlCoding.decoder().decode(ControlRequest.self, from: Data(line))
    } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
      throw ControlProblem("not a line of JSON")
    } catch DecodingError.keyNotFound(let key, _) {
      throw ControlProblem("\(key.stringValue) is missing")
    } catch DecodingError.dataCorrupted(let context)
      where context.codingPath.first?.stringValue == "command"
    {
      let names = Command.allCases.map(\.rawValue).joined(separator: ", ")
      throw ControlProblem("there is no such command; there are \(names)")
    } catch DecodingError.typeMismatch(_, let context) {
      let place = context.codingPath.map(\.stringValue).joined(separator: ".")
      throw ControlProblem(
        place.isEmpty ? "not a JSON object" : "\(place) is of another type than it should be")
    } catch {
      throw ControlProblem("not understood")
    }
  }

  /// The key that is meant.
  package func keyBytes() throws(ControlProblem) -> [UInt8] {
    switch (key, keyHex) {
    case (let key?, nil):
      return try checked(Array(key.utf8))
    case (nil, let digits?):
      let digits = Array(digits.utf8)
      var bytes: [UInt8] = []
      for index in stride(from: 0, to: digits.count - digits.count % 2, by: 2) {
        guard
          let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)
        else { throw ControlProblem("key_hex is not made of pairs of hexadecimal digits") }
        bytes.append(byte)
      }
      guard digits.count % 2 == 0 else {
        throw ControlProblem("key_hex is not made of pairs of hexadecimal digits")
      }
      return try checked(bytes)
    default:
      throw ControlProblem("\(command.rawValue) needs key or key_hex")
    }
  }

  private func checked(_ key: [UInt8]) throws(ControlProblem) -> [UInt8] {
    guard (1...WireLimits.keyLengthMax).contains(key.count) else {
      throw ControlProblem("a key has 1 to \(WireLimits.keyLengthMax) bytes")
    }
    return key
  }
}

/// How requests and answers are written: the names of fields in lower case with underscores.
enum ControlCoding {
  static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }
}

/// Why a request is refused, in words.
package struct ControlProblem: Error, Equatable {
  package let text: String
  init(_ text: String) { self.text = text }
}

/// The line of JSON that answers a request: `ok`, and then what was asked for or why not.
public struct ControlAnswer: Sendable, Equatable, Codable {
  public var ok: Bool
  /// Why not.
  public var error: String?
  public var status: ControlStatus?
  public var keys: [ControlKey]?
  public var servers: [ControlServer]?
  public var counters: [String: UInt64]?
  public var events: [ControlEvent]?
  public var promotions: [ControlPromotion]?
  public var moves: [ControlSlotMove]?
  public var reload: ControlReload?

  static let done = ControlAnswer(ok: true)

  init(ok: Bool) { self.ok = ok }

  static func refused(_ why: String) -> ControlAnswer {
    var answer = ControlAnswer(ok: false)
    answer.error = why
    return answer
  }

  /// Reads one line, without its end; nil: it is not an answer.
  package init?(line: some Sequence<UInt8>) {
    guard let answer = try? ControlCoding.decoder().decode(ControlAnswer.self, from: Data(line))
    else { return nil }
    self = answer
  }

  /// One line of JSON, its end included.
  package func line() -> [UInt8] {
    guard let data = try? ControlCoding.encoder().encode(self) else {
      return Array("{\"error\":\"the answer cannot be written\",\"ok\":false}\n".utf8)
    }
    return Array(data) + [UInt8(ascii: "\n")]
  }
}

/// What `status` answers.
public struct ControlStatus: Sendable, Equatable, Codable {
  public var rack: String
  /// Address and port for clients.
  public var address: String
  public var process: Int32
  public var uptimeSeconds: Double
  public var epoch: UInt16
  /// With the epoch in its high 16 bits.
  public var generation: UInt64
  /// The rack takes requests.
  public var serving: Bool
  /// The policy promotes and demotes by itself.
  public var automatic: Bool
  /// Nothing is under way or waiting.
  public var quiet: Bool
  /// Requests per second, estimated from samples.
  public var rate: Double
  /// The seed of the key hash; nil: of a version that does not tell.
  public var hashSeed: UInt64?
  /// One of so many requests is sampled.
  public var sampleInterval: UInt32
  public var hotKeys: Int
  /// Keys whose transition is under way.
  public var inTransition: Int
  /// The slots of lost servers are given to others.
  public var movingSlots: Bool
  /// What became of the data of an earlier epoch when this one's directory began; nil: there was none.
  public var takeOver: TakeOver?
  /// Slots that move from one living server to another.
  public var slotMove: SlotMoveState?
  /// Slots that are not where they are to be.
  public var slotsToMove: Int
  /// For how long a move of slots has kept writes waiting at most. Microseconds.
  public var slotsFrozenMaxUs: UInt64
  public var serversAlive: Int
  public var servers: Int
  /// Where in the kernel the data plane is, `xdp` or `tc`; nil: the controller is too old to tell.
  public var plane: String?
  /// Packets are counted only, and go their way untouched; nil: they are not.
  public var dryRun: Bool?
  /// How the data plane runs on each of its interfaces: `native`, `generic`, `tc`, or `detached`.
  public var interfaces: [String: String]
  public var totals: ControllerTotals
  /// Requests per second and at once that are taken from one client address; nil: any number.
  public var limitPerSecond: Double?
  public var limitBurst: Int?
  /// Packets since the start, by what they were counted as; `drop_...`: not sent on.
  public var counters: [String: UInt64]
  /// Packets since the start, by the number of the processor that has handled them.
  public var packetsByProcessor: [UInt64]
  /// With two copies: everything that was acknowledged is on two servers now. nil: with one copy.
  public var onTwoServers: Bool?
}

/// One hot key.
public struct ControlKey: Sendable, Equatable, Codable {
  /// As people read it: printable ASCII as it is, everything else as `\xNN`.
  public var key: String
  public var keyHex: String
  /// 16 hexadecimal digits.
  public var keyHash: String
  public var mode: KeyState.Mode
  public var home: UInt8
  /// Servers that hold the newest completed version.
  public var replicas: [UInt8]
  public var version: UInt64
  /// Servers that are to hold it.
  public var degree: Int
  /// Servers that each write is copied to.
  public var copies: UInt8
  /// Requests per second.
  public var rate: Double
  /// Of the key's requests, 0...1.
  public var readShare: Double
  /// Of the rack's requests, 0...1.
  public var share: Double

  init(_ state: KeyState) {
    key = printable(state.key)
    keyHex = state.key.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    keyHash = hexadecimal(state.keyHash)
    mode = state.mode
    home = state.home
    replicas = state.replicas
    version = state.version
    degree = state.degree
    copies = state.copies
    rate = state.rate
    readShare = state.readShare
    // Both rates are estimates: the part may come out larger than the whole.
    share = min(state.share, 1)
  }
}

/// One server. Rates are those of about the last second, counted by the data plane.
public struct ControlServer: Sendable, Equatable, Codable {
  public var number: UInt8
  public var address: String
  public var phase: ServerState.Phase
  /// 16 hexadecimal digits; zeros: never heard of.
  public var incarnation: String
  /// Requests that waited there at the last probe.
  public var load: UInt16
  /// What the directory takes its load for at this moment.
  public var assumedLoad: UInt32
  /// Slots that it is home of, and that it is to be home of.
  public var slots: Int
  public var slotsGoal: Int
  /// The part of a full share of slots that it is to have, 0...1; below 1 while alive it is slow.
  public var weight: Double
  /// Of the latest probes. Microseconds.
  public var probeUs: UInt64
  /// Keys that it stores.
  public var keys: UInt64
  /// Requests and copies steered to it, and replies that came from it, per second...
  public var readRate: Double
  public var writeRate: Double
  public var copyRate: Double
  public var replyRate: Double
  /// ...and since the controller's start.
  public var reads: UInt64
  public var writes: UInt64
  public var copies: UInt64
  public var replies: UInt64
  /// Requests that it refused since its own start.
  public var refused: UInt64
  /// Where it keeps its keys.
  public var storage = ServerState.Storage.memory
  /// In a rack with a key: datagrams without its tag that the server has dropped since its own start.
  public var wrongTags: UInt64?
  /// With two copies: slots that it is backup of. nil: with one copy.
  public var backups: Int?
}

/// A promotion that was completed, and when its steps were done (docs/protocol.md §8): nanoseconds of
/// the host's monotonic clock.
public struct ControlPromotion: Sendable, Equatable, Codable {
  /// From 1, rising by one.
  public var number: UInt64
  /// 16 hexadecimal digits.
  public var keyHash: String
  public var home: UInt8
  /// Decided, or asked for by command.
  public var askedNs: UInt64
  /// The entry was published as *adding*, and FENCE sent.
  public var begunNs: UInt64
  /// All servers had answered FENCE, and SYNC was sent.
  public var fencedNs: UInt64
  /// All servers had answered SYNC; the entry is *hot*, and copies were ordered.
  public var hotNs: UInt64
}

/// A move of slots that was completed, and when its steps were done (docs/protocol.md §8): nanoseconds
/// of the host's monotonic clock.
public struct ControlSlotMove: Sendable, Equatable, Codable {
  /// From 1, rising by one.
  public var number: UInt64
  public var from: UInt8
  public var to: UInt8
  public var slots: Int
  /// That the old home has sent to the new one: for each key, and for each key's sessions.
  public var messages: UInt64
  /// The new home was told.
  public var begunNs: UInt64
  /// Writes were frozen.
  public var frozenNs: UInt64
  /// The directory had the new home, and writes went on.
  public var doneNs: UInt64
}

/// What became of a reload: everything that the rack file says anew holds, or nothing of it.
public struct ControlReload: Sendable, Equatable, Codable {
  /// What has changed in the file.
  public var changes: [Item]
  /// Why nothing of that holds; none if all of it does.
  public var problems: [Item]

  /// Something about one key of the rack file.
  public struct Item: Sendable, Equatable, Codable {
    /// Of the key, as in `policy.choice` or `server 3.port`; nil: it is about the whole file.
    public var path: String?
    public var text: String

    /// What is to be said of the key of this path.
    public init(path: String? = nil, text: String) {
      self.path = path
      self.text = text
    }

    /// As one line for people.
    public var line: String { path.map { "\($0): \(text)" } ?? text }
  }
}

/// Something worth telling people.
public struct ControlEvent: Sendable, Equatable, Codable {
  /// From 1, rising by one.
  public var number: UInt64
  /// Milliseconds since 1970.
  public var time: UInt64
  public var text: String
}
