internal import Dispatch
internal import Logging
internal import NIOCore
internal import RocksDB
internal import SegmentLog

/// Reading in the background what is stored, so that damage is found while the others can make it good:
/// segments of the log that are not written to any more, then all rows of the database, with their sums.
struct Scrub {
  var passes: UInt64 = 0
  var segments: UInt64 = 0
  var rows: UInt64 = 0
  /// What was found, some of it.
  var damage: [String] = []
  /// Segments of this pass that are still to be read.
  var segmentsLeft: [UInt64] = []
  /// The row to go on with; nil: a pass begins.
  var nextRow: [UInt8]?
}

extension StoreNode {
  /// Rows that are read at one time.
  private static let rowsMax = 4_096
  private static let sliceInterval = TimeAmount.milliseconds(100)
  private static let firstPass = TimeAmount.seconds(60)

  func scheduleFirstScrub() {
    guard options.scrubInterval > 0 else { return }
    eventLoop.scheduleTask(in: min(Self.firstPass, .seconds(options.scrubInterval))) { [self] in
      scrub.segmentsLeft = segments.dropLast().reversed()
      scrub.nextRow = []
      scrubSome()
    }
  }

  /// One slice, on the thread of the rows.
  private func scrubSome() {
    guard !isStopping, let first = scrub.nextRow else { return }
    let segment = scrub.segmentsLeft.popLast()
    let settings = DataDirectory.settings(options)
    rowsQueue.async { [self] in
      var found: (segments: UInt64, rows: UInt64, next: [UInt8]?) = (0, 0, first)
      var problem: String?
      if let segment {
        do throws(SegmentLogError) {
          if try SegmentLog.check(settings, segment: segment) != nil { found.segments = 1 }
        } catch {
          problem = "\(error)"
        }
      } else {
        do throws(DatabaseError) {
          let slice = try rows.read(from: first, rowsMax: Self.rowsMax)
          (found.rows, found.next) = (slice.rows, slice.next)
        } catch {
          // What comes after it cannot be reached.
          problem = "state: \(error)"
          found.next = nil
        }
      }
      eventLoop.execute { [self, found, problem] in
        scrubbed(found.segments, found.rows, next: found.next, problem)
      }
    }
  }

  private func scrubbed(
    _ segments: UInt64, _ rows: UInt64, next: [UInt8]?, _ problem: String?
  ) {
    scrub.segments += segments
    scrub.rows += rows
    scrub.nextRow = next
    if let problem, !scrub.damage.contains(problem), scrub.damage.count < 64 {
      scrub.damage.append(problem)
      log.critical(
        """
        what is stored is damaged: \(problem); start this node again when the others are well, and it \
        recovers from them
        """)
    }
    guard next == nil else {
      eventLoop.scheduleTask(in: Self.sliceInterval) { [self] in scrubSome() }
      return
    }
    scrub.passes += 1
    eventLoop.scheduleTask(in: .seconds(options.scrubInterval)) { [self] in
      scrub.segmentsLeft = self.segments.dropLast().reversed()
      scrub.nextRow = []
      scrubSome()
    }
  }
}
