/// A table that reads well as text and as Markdown.
public struct MarkdownTable: Sendable, Equatable {
  public struct Column: Sendable, Equatable, ExpressibleByStringLiteral {
    public var title: String
    /// As numbers are.
    public var isRightAligned: Bool

    public init(_ title: String, isRightAligned: Bool = true) {
      self.title = title
      self.isRightAligned = isRightAligned
    }
    /// A column of numbers.
    public init(stringLiteral title: String) { self.init(title) }
    /// A column of words.
    public static func words(_ title: String) -> Column { Column(title, isRightAligned: false) }
  }

  public var columns: [Column]
  /// Each has one cell for each column.
  public var rows: [[String]]

  public init(_ columns: [Column], rows: [[String]] = []) {
    precondition(rows.allSatisfy { $0.count == columns.count })
    self.columns = columns
    self.rows = rows
  }

  /// As Markdown, its last line ended.
  public var markdown: String {
    let cells = [columns.map(\.title)] + rows.map { $0.map { $0.replacing("|", with: "\\|") } }
    let widths = widths(cells, atLeast: 3)
    var lines = cells.map { "| " + aligned($0, widths).joined(separator: " | ") + " |" }
    let rules = zip(columns, widths).map { column, width in
      column.isRightAligned
        ? String(repeating: "-", count: width - 1) + ":" : String(repeating: "-", count: width)
    }
    lines.insert("| " + rules.joined(separator: " | ") + " |", at: 1)
    return lines.joined(separator: "\n") + "\n"
  }

  /// For a terminal: titles in capitals, columns two blanks apart, without a line end at the end.
  public var text: String {
    let cells = [columns.map { $0.title.uppercased() }] + rows
    let widths = widths(cells, atLeast: 0)
    return cells.map { row in
      let line = aligned(row, widths).joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }.joined(separator: "\n")
  }

  private func widths(_ cells: [[String]], atLeast least: Int) -> [Int] {
    columns.indices.map { column in
      cells.map { $0[column].count }.max().map { max($0, least) } ?? least
    }
  }

  private func aligned(_ row: [String], _ widths: [Int]) -> [String] {
    zip(zip(row, widths), columns).map { cell, column in
      let blanks = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
      return column.isRightAligned ? blanks + cell.0 : cell.0 + blanks
    }
  }
}
