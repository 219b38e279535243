using Godwit.Storage.Files;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Formats;

/// <summary>
/// A block loses its place while flushes of the file are under way. Such a flush says nothing about the trim, so its answer must not
/// bring the place any nearer to its next block: every order of two flushes, their answers and the trim is tried.
/// </summary>
public abstract class TrimDuringFlush
{
    private const int Written = 16 << 10;
    private const int Trimmed = 0;
    private const int Other = 2;
    private const int New = 4;
    private static readonly CancellationToken None = CancellationToken.None;
    private CrashHistory _history = new();
    private int _id;

    /// <summary>Orders of: a flush begins (a, b), its answer comes (A, B), the trim (t); the other block is written before each flush.</summary>
    public static TheoryData<string> Orders { get; } = [.. Orderings("aAbBt").Where(static order =>
        order.IndexOf('a') < order.IndexOf('A') && order.IndexOf('b') < order.IndexOf('B'))];

    /// <summary>Bytes of a block.</summary>
    protected abstract int BlockSize { get; }

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(Orders))]
    public async Task A_place_freed_meanwhile_is_used_again_only_after_later_flushes(string order)
    {
        for (var flushesAfter = 0; flushesAfter <= 2; flushesAfter++)
            await RunAsync(order, flushesAfter);
    }

    /// <summary>An empty disk of at least eight blocks.</summary>
    protected abstract Task<MemoryFile> CreateAsync();

    protected abstract Task<BlockDevice> OpenAsync(IStorageFile file);

    private async Task RunAsync(string order, int flushesAfter)
    {
        _history = new CrashHistory();
        var crash = new CrashFile(await CreateAsync());
        var faulty = new FaultyFile(crash);
        await using var disk = await OpenAsync(faulty);
        var written = crash.EventCount;
        await WriteAsync(disk, crash, Trimmed);
        var place = crash.Events.Skip(written).First(static one => one.Operation == FileOperation.Write && one.Length == Written).Offset;
        await WriteAsync(disk, crash, Other);
        await FlushAsync(disk, crash);

        var trim = await PlayAsync(order, disk, crash, faulty);
        for (var round = 0; round < flushesAfter; round++)
        {
            await WriteAsync(disk, crash, Other);
            await FlushAsync(disk, crash);
        }

        var last = crash.EventCount;
        await WriteAsync(disk, crash, New);
        var name = $"{order}, {flushesAfter} flushes after";
        AssertSteps(crash.Events, trim, place, name);

        // Two flushes are enough, or nothing here has been tested.
        if (flushesAfter == 2)
            Assert.Contains(crash.Events.Skip(last), one => one.Operation == FileOperation.Write && one.Offset == place);
        await JudgeAsync(crash, name);
    }

    /// <summary>Plays the steps; returns the number of changes when the trim had completed.</summary>
    private async Task<int> PlayAsync(string order, BlockDevice disk, CrashFile crash, FaultyFile faulty)
    {
        var held = new Dictionary<char, (FaultRule Rule, Task Flush)>();
        var trim = 0;
        foreach (var step in order)
        {
            if (step == 't')
            {
                var start = crash.EventCount;
                await disk.TrimAsync((long)Trimmed * BlockSize, BlockSize, None);
                trim = crash.EventCount;
                _history.Add(0, (long)Trimmed * BlockSize, BlockSize, start, trim, forced: false);
            }
            else if (char.IsLower(step))
            {
                await WriteAsync(disk, crash, Other);
                var rule = faulty.Rules.HoldFlushAnswer();
                held.Add(char.ToUpperInvariant(step), (rule, FlushAsync(disk, crash)));
                await rule.Reached;
            }
            else
            {
                held[step].Rule.Release();
                await held[step].Flush;
            }
        }

        return trim;
    }

    /// <summary>A place keeps its bytes until the trim is stable, and gets new ones only when the hole in it is.</summary>
    private void AssertSteps(IReadOnlyList<FileEvent> events, int trim, long place, string name)
    {
        var covered = 0;
        var punched = int.MaxValue;
        for (var index = trim; index < events.Count; index++)
        {
            var one = events[index];
            if (one.Operation == FileOperation.Flush)
                covered = Math.Max(covered, (int)one.Offset);
            if (one.Offset > place || one.Offset + one.Length <= place || one.Operation is FileOperation.Flush or FileOperation.SetLength)
                continue;
            if (one.Operation == FileOperation.PunchHole)
            {
                Assert.True(covered >= trim, $"{name}: event {index} destroys the bytes of a block whose trim a power cut may undo");
                punched = index;
            }
            else
            {
                Assert.True(covered > punched, $"{name}: event {index} fills a place whose old bytes a power cut may bring back");
            }
        }
    }

    private async Task JudgeAsync(CrashFile crash, string name)
    {
        foreach (var (kept, file) in crash.AfterEveryPowerCut(crash.EventCount))
        {
            var point = new CrashPoint(crash.EventCount, crash.EventCount, true, $"{name}, {kept}");
            await using var disk = await OpenAsync(file);
            var content = new byte[2 * Written];
            foreach (var block in (int[])[Trimmed, Other, New])
            {
                await disk.ReadAsync((long)block * BlockSize, content, None);
                _history.Check(content, point, (long)block * BlockSize);
            }
        }
    }

    private async Task WriteAsync(BlockDevice disk, CrashFile crash, int block)
    {
        var start = crash.EventCount;
        var id = ++_id;
        var offset = (long)block * BlockSize;
        await disk.WriteAsync(offset, CrashHistory.Content(id, offset, Written), WriteFlags.None, None);
        _history.Add(id, offset, Written, start, crash.EventCount, forced: false);
    }

    private async Task FlushAsync(BlockDevice disk, CrashFile crash)
    {
        var start = crash.EventCount;
        await disk.FlushAsync(None);
        _history.AddFlush(start, crash.EventCount);
    }

    private static IEnumerable<string> Orderings(string letters) => letters.Length <= 1
        ? [letters]
        : letters.SelectMany((letter, index) => Orderings(letters.Remove(index, 1)).Select(rest => letter + rest));
}
