/// A chart: lines over numbers, or bars over names. `svg` draws it.
public struct Plot: Sendable, Equatable {
  /// One side of the chart.
  public struct Axis: Sendable, Equatable {
    /// What it shows, with the unit; may be empty.
    public var label: String
    /// Powers of ten lie equally far apart; only for values above 0.
    public var isLogarithmic: Bool
    /// The ends; nil: found from the values (bars and linear axes of amounts begin at 0).
    public var lowest: Double?
    public var highest: Double?

    public init(
      _ label: String, isLogarithmic: Bool = false, lowest: Double? = nil, highest: Double? = nil
    ) {
      self.label = label
      self.isLogarithmic = isLogarithmic
      self.lowest = lowest
      self.highest = highest
    }
  }

  public struct Point: Sendable, Equatable {
    public var x: Double
    public var y: Double

    public init(_ x: Double, _ y: Double) {
      self.x = x
      self.y = y
    }
  }

  /// Points that belong together, in the order in which they are joined.
  public struct Line: Sendable, Equatable {
    public var name: String
    public var points: [Point]

    public init(_ name: String, _ points: [Point]) {
      self.name = name
      self.points = points
    }
  }

  /// One bar for each category; nil: there is no value.
  public struct Bars: Sendable, Equatable {
    public var name: String
    public var values: [Double?]

    public init(_ name: String, _ values: [Double?]) {
      self.name = name
      self.values = values
    }
  }

  public enum Content: Sendable, Equatable {
    case lines([Line])
    case bars(categories: [String], [Bars])

    /// The names of what is drawn, for the legend.
    var names: [String] {
      switch self {
      case .lines(let lines): lines.map(\.name)
      case .bars(_, let groups): groups.map(\.name)
      }
    }
  }

  /// A dashed line across the chart, as for a limit.
  public struct Mark: Sendable, Equatable {
    public var name: String
    public var y: Double

    public init(_ name: String, at y: Double) {
      self.name = name
      self.y = y
    }
  }

  public var title: String
  /// With bars its scale and ends mean nothing.
  public var x: Axis
  public var y: Axis
  public var content: Content
  public var marks: [Mark]

  public init(_ title: String, x: Axis, y: Axis, _ content: Content, marks: [Mark] = []) {
    self.title = title
    self.x = x
    self.y = y
    self.content = content
    self.marks = marks
  }
}
