internal import Foundation
internal import LoadGenerator

extension ReactionResult {
  private func number(_ value: Double?) -> String {
    value.map { String(format: "%.1f", $0) } ?? "-"
  }

  /// One row: the reactions.
  public var table: MarkdownTable {
    MarkdownTable(
      [
        "servers", "offered ops/s", "completed ops/s", "reads", "changes", "median ms", "worst ms",
        "most of 1,000, of fair share",
      ],
      rows: [
        [
          String(servers), String(format: "%.0f", load.offeredPerSecond),
          String(format: "%.0f", load.completedPerSecond),
          String(format: "%g %%", readShare * 100), String(samples.count), number(median),
          number(worst), String(format: "%.2f", largestShares.max() ?? 0),
        ]
      ])
  }

  /// What the time goes by.
  public var stepsTable: MarkdownTable {
    MarkdownTable(
      ["key, 1 the hottest", "decided", "begun", "fenced", "hot", "spread"],
      rows: steps.map { step in
        [String(step.popularity)]
          + [step.decided, step.begun, step.fenced, step.hot, step.spread].map(number)
      })
  }

  /// False: the machine was too busy with other things.
  public var isValid: Bool { load.isValid }

  /// Why the figures do not count; nil: they do.
  public var shortcoming: String? {
    if samples.count < changes {
      return "only \(samples.count) of \(changes) changes took place: repeat it"
    }
    return load.completedPerSecond < 0.95 * load.offeredPerSecond
      ? "the rack has not carried the load: repeat it with less else running, or a lower --rate"
      : nil
  }

  /// About the tables.
  public var remarks: [String] {
    [
      "\(servers) server processes without emulated capacity; each serves at most every "
        + "\(number(gathering)) ms what has come meanwhile, and the load is sent every "
        + "\(number(tick)) ms: both are part of every time here.",
      "Steps in ms after the change, medians. Each reaction, in ms: "
        + samples.map(number).joined(separator: ", ") + ".",
    ]
      + (unsettled > 0
        ? ["\(unsettled) times the load was still uneven when the next change came."] : [])
      + (load.isValid
        ? []
        : ["This machine was busy with other things: repeat it with less else running."])
      + (repeated > 0 ? ["\(repeated) measurements before were disturbed by the machine."] : [])
  }
}
