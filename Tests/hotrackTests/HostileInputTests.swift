import Configuration
import Foundation
import Testing

/// The rows of docs/hostile-inputs.md, one after the other.
@Suite struct HostileInputTests {
  struct Row: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var code: Int32
    var says: String
    var testDescription: String { arguments.joined(separator: " ") }
  }

  static let rows: [Row] = {
    let page = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../docs/hostile-inputs.md").standardizedFileURL
    let text = (try? String(contentsOf: page, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").filter { $0.hasPrefix("| `hotrack ") }.compactMap { line in
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      guard cells.count == 4, let code = Int32(cells[2]) else { return nil }
      let command = cells[0].trimmingCharacters(in: ["`"]).split(separator: " ").map(String.init)
      return Row(arguments: Array(command.dropFirst()), code: code, says: cells[3])
    }
  }()

  @Test func thereAreManyRows() { #expect(Self.rows.count >= 25) }

  @Test(arguments: rows)
  func badInputIsToldWhatIsWrong(_ row: Row) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    var arguments: [String] = []
    for word in row.arguments {
      guard word.allSatisfy({ $0.isUppercase || $0 == "_" }), word.count > 2 else {
        arguments.append(word)
        continue
      }
      let file = folder.appending(path: word)
      if let bytes = Self.contents(of: word) {
        try Data(bytes).write(to: file)
        let mode = word == "SHORT_KEY" ? 0o600 : 0o644
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
      }
      arguments.append(file.path)
    }
    let run = try await hotrack(arguments)
    #expect(run.code == row.code, "\(run.errors)")
    #expect((run.errors + run.text).contains(row.says), "\(run.errors)\(run.text)")
    // A crash says so at length.
    #expect(!run.errors.contains("Fatal error") && !run.errors.contains("Crash:"))
  }

  // MARK: Files

  /// Nil: it does not exist.
  private static func contents(of name: String) -> [UInt8]? {
    let random = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 201) | 0x80 }
    let example = RackFile.example
    switch name {
    case "EMPTY": return []
    case "RANDOM": return random
    case "HUGE": return Array(repeating: 35, count: 2 << 20)
    case "OPEN_HEADER": return Array("[rack]\nname = \"x\"\n[\n".utf8)
    case "NESTED": return Array(("a = " + String(repeating: "[", count: 10_000)).utf8)
    case "TWINS": return Array(example.replacing("number = 1", with: "number = 0").utf8)
    case "MULTICAST": return Array(example.replacing("10.18.0.1", with: "224.0.0.1").utf8)
    case "NEWLINE_PATH":
      return Array(
        example.replacing(
          "# state_file = \"/var/lib/hotrack/demo.state\"", with: "state_file = \"/a\\nb\""
        ).utf8)
    case "NO_BURST": return Array(example.replacing("# burst = 1000", with: "burst = 0").utf8)
    case "OPEN_KEY": return Array(random.prefix(16))
    case "SHORT_KEY": return Array("key\n".utf8)
    case "KEYLESS":
      return Array(
        example.replacing(
          "name = \"demo\"", with: "name = \"demo\"\nrack_key_file = \"/dev/null/x\""
        )
        .utf8)
    case "CUT_CAPTURE": return capture(link: 1, [frame(length: 40)]).dropLast(10)
    case "ENDLESS_PACKET":
      return capture(link: 1, []) + little(1) + little(0) + little(0xffff_ffff)
        + little(0xffff_ffff)
    case "RADIO_CAPTURE": return capture(link: 127, [frame(length: 40)])
    case "RANDOM_FRAMES":
      return capture(link: 1, (0..<50).map { Array(random.dropFirst($0).prefix(60)) })
    case "LYING_FRAMES": return capture(link: 1, [frame(length: 9), frame(length: 65_535)])
    default: return nil
    }
  }

  /// Ethernet and IPv4, which says that it has `length` bytes, and a TCP header that is too short.
  private static func frame(length: Int) -> [UInt8] {
    [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, UInt8(length >> 8), UInt8(length & 255)]
      + [0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
      + [0x9c, 0x40, 0x2b, 0xcb, 0, 0, 0, 1, 0, 0, 0, 1, 0x10, 16, 255, 255, 0, 0, 0, 0]
  }

  private static func capture(link: UInt32, _ frames: [[UInt8]]) -> [UInt8] {
    frames.reduce(
      little(0xa1b2_c3d4) + little(0x0004_0002) + little(0) + little(0) + little(262_144)
        + little(link)
    ) { file, frame in
      file + little(1) + little(0) + little(UInt32(frame.count)) + little(UInt32(frame.count))
        + frame
    }
  }

  private static func little(_ word: UInt32) -> [UInt8] {
    [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: word >> $0) }
  }
}
