internal import Foundation

/// What a benchmark writes into a page: its command above its tables, and remarks below.
public struct ReportSection: Sendable, Equatable {
  public struct Drawing: Sendable, Equatable {
    public var title: String
    /// Relative to the page.
    public var path: String

    public init(title: String, path: String) {
      self.title = title
      self.path = path
    }
  }

  /// The command that prints the figures again.
  public var command: String
  public var tables: [MarkdownTable]
  /// Paragraphs, or lists, in Markdown.
  public var remarks: [String]
  /// Nil: there is none.
  public var drawing: Drawing?
  /// Where it was measured, as `MachineDescription.text` says it.
  public var machine: String

  public init(
    command: String, tables: [MarkdownTable], remarks: [String] = [],
    drawing: Drawing? = nil, machine: String
  ) {
    self.command = command
    self.tables = tables
    self.remarks = remarks
    self.drawing = drawing
    self.machine = machine
  }

  public var markdown: String {
    var parts = ["```\n\(command)\n```\n"] + tables.map(\.markdown) + remarks.map { $0 + "\n" }
    if let drawing { parts.append("![\(drawing.title)](\(drawing.path))\n") }
    parts.append("<sub>\(machine)</sub>\n")
    return parts.joined(separator: "\n")
  }
}

/// Why a page cannot take a section.
public enum ReportError: Error, Equatable, Sendable, CustomStringConvertible {
  case unreadable(file: String, reason: String)
  case unwritable(file: String, reason: String)
  case noSection(name: String, file: String)
  /// The marks of one section are not once and in order there.
  case brokenSection(name: String, file: String)

  /// What is wrong, and what to do.
  public var description: String {
    switch self {
    case .unreadable(let file, let reason): "cannot read \(file): \(reason)"
    case .unwritable(let file, let reason): "cannot write \(file): \(reason)"
    case .noSection(let name, let file):
      "\(file) has no place for this: put the lines `\(ReportPage.begin(name))` and "
        + "`\(ReportPage.end(name))` where the figures belong"
    case .brokenSection(let name, let file):
      "\(file) must have `\(ReportPage.begin(name))` once, and once and behind it "
        + "`\(ReportPage.end(name))`, each on a line of its own"
    }
  }
}

/// A Markdown page of which programs write parts: what stands between the lines
/// `<!-- bench NAME -->` and `<!-- /bench NAME -->`.
public struct ReportPage: Sendable {
  /// Its path; also what errors call it.
  public let file: String

  public init(file: String) { self.file = file }

  static func begin(_ name: String) -> String { "<!-- bench \(name) -->" }
  static func end(_ name: String) -> String { "<!-- /bench \(name) -->" }

  /// The page with other text in the section of this name; everything else stays as it is.
  public func replacing(
    _ name: String, in page: String, by text: String
  ) throws(ReportError) -> String {
    let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
    let begins = lines.indices.filter { lines[$0] == Self.begin(name) }
    let ends = lines.indices.filter { lines[$0] == Self.end(name) }
    if begins.isEmpty, ends.isEmpty { throw .noSection(name: name, file: file) }
    guard begins.count == 1, ends.count == 1, begins[0] < ends[0] else {
      throw .brokenSection(name: name, file: file)
    }
    let inside = text.hasSuffix("\n") ? text.dropLast() : text[...]
    return (lines[...begins[0]] + ["", inside, ""] + lines[ends[0]...]).joined(separator: "\n")
  }

  /// Throws if `write` would have no place to write to: worth knowing before a long measurement.
  public func check(_ name: String) throws(ReportError) {
    _ = try replacing(name, in: try read(), by: "")
  }

  /// Puts text into the section of this name. The page, with the section's marks, must exist.
  public func write(_ name: String, _ text: String) throws(ReportError) {
    try writeText(replacing(name, in: read(), by: text), to: file)
  }

  /// The path of another file as a link on this page has it, where it is in or below the page's folder.
  public func link(to other: String) -> String {
    let folder = URL(filePath: file).deletingLastPathComponent().standardizedFileURL.path
    let path = URL(filePath: other).standardizedFileURL.path
    let prefix = folder.hasSuffix("/") ? folder : folder + "/"
    return path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : other
  }

  private func read() throws(ReportError) -> String {
    do {
      return try String(contentsOfFile: file, encoding: .utf8)
    } catch {
      throw .unreadable(file: file, reason: error.localizedDescription)
    }
  }
}

/// Writes a file whole or not at all.
public func writeText(_ text: String, to file: String) throws(ReportError) {
  do {
    try Data(text.utf8).write(to: URL(filePath: file), options: .atomic)
  } catch {
    throw .unwritable(file: file, reason: error.localizedDescription)
  }
}
