internal import SegmentLog

/// A small file that says whose data directory it is. Written anew at every start, before anything
/// leaves the node.
struct NodeIdentity: Equatable {
  var cell: UInt64
  var node: UInt16
  /// Of the start that wrote it; no start has used a higher one.
  var incarnation: UInt64
  /// Votes were lost: the directory was empty or damaged at some start.
  var hasLostVotes: Bool
  /// The incarnation in which that was noticed the last time, made good or not; 0: never.
  var life: UInt64

  private static let name = "identity"
  private static let title = "hotrack-store-node 1"

  /// Nil: there is none. What cannot be understood is as good as none: it is written as a whole.
  static func read(_ directory: String, _ files: any FileSystem) throws(FileError) -> NodeIdentity?
  {
    guard try files.names(in: directory).contains(name) else { return nil }
    let file = try files.open("\(directory)/\(name)", creating: false)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    defer { memory.deallocate() }
    let length = try file.read(at: 0, into: memory)
    let text = String(decoding: memory.prefix(length), as: UTF8.self)
    return NodeIdentity(text: text)
  }

  func write(_ directory: String, _ files: any FileSystem) throws(FileError) {
    let path = "\(directory)/\(Self.name)"
    let file = try files.open(path + ".new", creating: true)
    try Array(text.utf8).withUnsafeBufferPointer { bytes throws(FileError) in
      try file.write(UnsafeRawBufferPointer(bytes), at: 0)
    }
    try file.sync()
    try files.rename(path + ".new", to: path)
    try files.syncDirectory(directory)
  }

  private var lines: [String] {
    [
      Self.title, "cell \(cell)", "node \(node)", "incarnation \(incarnation)",
      "lost-votes \(hasLostVotes)", "life \(life)",
    ]
  }

  var text: String { (lines + ["sum \(Self.sum(lines))"]).joined(separator: "\n") + "\n" }

  init(cell: UInt64, node: UInt16, incarnation: UInt64, hasLostVotes: Bool, life: UInt64) {
    self.cell = cell
    self.node = node
    self.incarnation = incarnation
    self.hasLostVotes = hasLostVotes
    self.life = life
  }

  init?(text: String) {
    let lines = text.split(separator: "\n").map(String.init)
    guard lines.count == 7, lines[0] == Self.title,
      lines[6] == "sum \(Self.sum(Array(lines[..<6])))"
    else { return nil }
    func value(_ line: Int, _ name: String) -> Substring? {
      lines[line].hasPrefix(name + " ") ? lines[line].dropFirst(name.count + 1) : nil
    }
    guard let cell = value(1, "cell").flatMap({ UInt64($0) }),
      let node = value(2, "node").flatMap({ UInt16($0) }),
      let incarnation = value(3, "incarnation").flatMap({ UInt64($0) }),
      let lost = value(4, "lost-votes").flatMap({ Bool(String($0)) }),
      let life = value(5, "life").flatMap({ UInt64($0) })
    else { return nil }
    self.init(
      cell: cell, node: node, incarnation: incarnation, hasLostVotes: lost, life: life)
  }

  private static func sum(_ lines: [String]) -> UInt64 {
    lines.joined(separator: "\n").utf8.reduce(0xcbf2_9ce4_8422_2325) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01b3
    }
  }
}
