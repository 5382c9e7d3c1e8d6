/// Whose data a directory holds.
public struct DataIdentity: Sendable, Equatable, CustomStringConvertible {
  /// The rack's address, as in 10.0.0.1:18516.
  public var rack: String
  /// The rack's seed of the key hash: rows are ordered by it.
  public var hashSeed: UInt64
  /// The server's number in the rack.
  public var server: UInt8

  /// The first line of the file: names the layout of the directory too.
  private static let title = "hotrack data 1"

  public init(rack: String, hashSeed: UInt64, server: UInt8) {
    self.rack = rack
    self.hashSeed = hashSeed
    self.server = server
  }

  public var description: String { "server \(server) of the rack \(rack) (hash seed \(hashSeed))" }

  /// The text of the file `identity`.
  var text: String { "\(Self.title)\nrack \(rack)\nseed \(hashSeed)\nserver \(server)\n" }

  /// Reads the text of a file; nil: it is none.
  init?(text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count == 5, lines[0] == Self.title, lines[4].isEmpty,
      lines[1].hasPrefix("rack "), lines[2].hasPrefix("seed "), lines[3].hasPrefix("server "),
      let seed = UInt64(lines[2].dropFirst(5)), let server = UInt8(lines[3].dropFirst(7))
    else { return nil }
    self.init(rack: String(lines[1].dropFirst(5)), hashSeed: seed, server: server)
    guard self.text == text else { return nil }
  }
}
