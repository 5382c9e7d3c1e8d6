import Testing

@testable import DurableStore

@Suite struct SpaceWatchTests {
  @Test func aDiskIsFullBelowAQuarterOfTheReserveUntilThereIsHalf() {
    var space = SpaceWatch(reserve: 100, hasReserve: true)
    #expect(!space.isFull)
    for (available, isFull) in [
      (1000, false), (25, false), (24, true), (49, true), (50, false), (0, true),
    ] as [(UInt64, Bool)] {
      let isMade = space.update(available: available)
      #expect(!isMade)
      #expect(space.isFull == isFull, "\(available)")
    }
  }

  @Test func theReserveIsMadeAgainWhenThereIsRoomForMore() {
    var space = SpaceWatch(reserve: 100, hasReserve: true)
    space.released()
    #expect(space.isFull && !space.hasReserve)
    var isToBeMade = space.update(available: 149)
    #expect(!isToBeMade && space.isFull)
    isToBeMade = space.update(available: 150)
    #expect(isToBeMade && space.isFull)
    space.reserved()
    #expect(!space.isFull && space.hasReserve)
  }

  @Test func withoutAReserveFromTheStartItIsFull() {
    #expect(SpaceWatch(reserve: 100, hasReserve: false).isFull)
  }
}
