using Godwit.Storage.Files;
using Godwit.Storage.Repair;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Repair.RepairRig;
using VhdSample = Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Repair;

/// <summary>A repair in place that is cut off at every instant: putting back gives the damaged file byte for byte, and repairing again
/// gives the repaired one.</summary>
public sealed class RepairCrashTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData("dirty")]
    [InlineData("table")]
    [InlineData("vhd")]
    public async Task Cut_off_anywhere_it_can_be_put_back_or_done_again(string damage)
    {
        var damaged = await DamagedAsync(damage);
        var original = damaged.ToArray();
        var content = await RepairedContentAsync(damaged);
        var (image, undo) = (new CrashFile(damaged, damaged.Path), new CrashFile(path: "undo"));
        var clock = new TwoFiles(image, undo);
        await ApplyAsync(await PlanAsync(clock.Image, lossy: true), clock.Image, clock.Undo);
        Assert.True(image.EventCount > 4, "nothing was changed");
        foreach (var (events, undoEvents) in clock.Moments)
        {
            foreach (var left in Enum.GetValues<PowerCut>())
            {
                var seed = (events * 1000) + undoEvents;
                await PutBackOrAgainAsync(
                    image.AfterPowerCut(events, left, seed), undo.AfterPowerCut(undoEvents, left, seed + 1), original, content,
                    repairsAgain: (seed + (int)left) % 3 == 0, $"{left} {events}/{undoEvents}");
            }
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task Putting_back_may_be_cut_off_anywhere_and_done_again()
    {
        var damaged = await DamagedAsync("table");
        var original = damaged.ToArray();
        var repaired = damaged.Copy();
        var undoBytes = await ApplyAsync(await PlanAsync(repaired, lossy: true), repaired);
        var (image, undo) = (new CrashFile(repaired, damaged.Path), new CrashFile(undoBytes, "undo"));
        var clock = new TwoFiles(image, undo);
        await RestoreAsync(clock.Image, clock.Undo);
        Assert.Equal(original, image.AfterKill(image.EventCount).ToArray());
        foreach (var (events, undoEvents) in clock.Moments)
        {
            foreach (var left in Enum.GetValues<PowerCut>())
            {
                var (cut, cutUndo) = (image.AfterPowerCut(events, left, events), undo.AfterPowerCut(undoEvents, left, events));
                await RestoreAsync(cut, cutUndo);
                await RestoreAsync(cut, cutUndo);
                Assert.True(Same(original, cut.ToArray()), $"{left} {events}/{undoEvents}");
            }
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task Any_requests_through_the_recording_file_can_be_taken_back_after_a_power_cut()
    {
        for (var seed = 1; seed <= 12; seed++)
        {
            var random = new Random(seed);
            var start = new MemoryFile(VhdxSample.Pattern(seed, 40_000), "image");
            var (image, undo) = (new CrashFile(start, "image"), new CrashFile(path: "undo"));
            var clock = new TwoFiles(image, undo);
            var file = new UndoRecordingFile(clock.Image, await UndoJournal.CreateAsync(clock.Undo, clock.Image, Guid.NewGuid(), None));
            for (var step = 0; step < 12; step++)
                await ChangeAsync(file, random);
            foreach (var (events, undoEvents) in clock.Moments)
            {
                var cut = image.AfterPowerCut(events, PowerCut.RandomSubset, (seed * 1000) + events);
                var cutUndo = undo.AfterPowerCut(undoEvents, PowerCut.RandomSubset, seed + events);
                if (!await TryRestoreAsync(cut, cutUndo))
                    Assert.Equal(0, events);
                Assert.True(Same(start.ToArray(), cut.ToArray()), $"seed {seed}, {events}/{undoEvents}");
            }
        }
    }

    private static async Task PutBackOrAgainAsync(
        MemoryFile image, MemoryFile undo, byte[] original, byte[] content, bool repairsAgain, string moment)
    {
        var again = image.Copy();
        if (!await TryRestoreAsync(image, undo.Copy()))
            Assert.True(Same(original, image.ToArray()), $"{moment}: changed before the undo file was there");
        Assert.True(Same(original, image.ToArray()), $"{moment}: not put back");
        if (!repairsAgain)
            return;

        // Repaired again after putting back, with the same undo file, and without it from whatever was left.
        await ApplyAsync(await PlanAsync(image, lossy: true), image, await TryOpenAsync(undo) ? undo : null);
        Assert.Equal(content, await ContentAsync(image));
        await ApplyAsync(await PlanAsync(again, lossy: true), again);
        Assert.True((await CheckAsync(again)).IsSound, $"{moment}: not repaired");
        Assert.True(Same(content, await ContentAsync(again)), $"{moment}: repaired to something else");
    }

    private static async Task<bool> TryOpenAsync(MemoryFile undo)
    {
        try
        {
            await UndoJournal.OpenAsync(undo, None);
            return true;
        }
        catch (StorageException none) when (none.Kind == StorageErrorKind.Corrupt)
        {
            return false;
        }
    }

    private static async Task<bool> TryRestoreAsync(MemoryFile image, MemoryFile undo)
    {
        if (!await TryOpenAsync(undo))
            return false;
        await RestoreAsync(image, undo);
        return true;
    }

    private static async Task<byte[]> RepairedContentAsync(MemoryFile damaged)
    {
        var copy = damaged.Copy();
        await ApplyAsync(await PlanAsync(copy, lossy: true), copy);
        return await ContentAsync(copy);
    }

    private static async Task<MemoryFile> DamagedAsync(string damage)
    {
        if (damage == "dirty")
            return (await VhdxSample.CreateDirtyAsync()).Copy("dirty.vhdx");
        if (damage == "vhd")
        {
            var vhd = await VhdSample.CreateWithContentAsync();
            await VhdSample.PokeAsync(vhd, vhd.Length - 512, new byte[512]);
            await VhdSample.PokeAsync(vhd, VhdSample.TableOffset + 12, 0, 0xff, 0xff, 0);
            return vhd;
        }

        var vhdx = await VhdxSample.CreateWithContentAsync();
        await VhdxSample.PokeAsync(vhdx, VhdxSample.BatOffset + 8, BitConverter.GetBytes((9999UL << 20) | 6));
        await VhdxSample.PokeAsync(vhdx, 64 << 10, new byte[4096]);
        await VhdxSample.PokeAsync(vhdx, 192 << 10, new byte[4096]);
        await vhdx.WriteAsync(vhdx.Length, new byte[] { 1, 2, 3 }, None);
        return vhdx;
    }

    private static async Task ChangeAsync(UndoRecordingFile file, Random random)
    {
        var offset = random.Next((int)file.Length);
        var length = random.Next(1, (int)Math.Min(9000, file.Length - offset) + 1);
        switch (random.Next(5))
        {
            case 0:
                await file.SetLengthAsync(random.Next(20_000, 60_000), None);
                break;
            case 1:
                await file.PunchHoleAsync(offset, length, None);
                break;
            case 2:
                await file.FlushAsync(None);
                break;
            default:
                await file.WriteAsync(offset, VhdxSample.Pattern(offset, length), None);
                break;
        }
    }

    /// <summary>Two files on one computer: notes how far each of them was after every change of either.</summary>
    private sealed class TwoFiles
    {
        private readonly CrashFile _image;
        private readonly CrashFile _undo;
        private readonly List<(int Image, int Undo)> _moments = [(0, 0)];

        public TwoFiles(CrashFile image, CrashFile undo)
        {
            (_image, _undo) = (image, undo);
            (Image, Undo) = (new Noting(image, Note), new Noting(undo, Note));
        }

        public IStorageFile Image { get; }

        public IStorageFile Undo { get; }

        public IReadOnlyList<(int Image, int Undo)> Moments => _moments;

        private void Note() => _moments.Add((_image.EventCount, _undo.EventCount));
    }

    private sealed class Noting(IStorageFile inner, Action note) : IStorageFile
    {
        public string Path => inner.Path;

        public long Length => inner.Length;

        public bool IsReadOnly => inner.IsReadOnly;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) => inner.ReadAsync(offset, buffer, cancellationToken);

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) =>
            NoteAsync(inner.WriteAsync(offset, buffer, cancellationToken));

        public ValueTask FlushAsync(CancellationToken cancellationToken) => NoteAsync(inner.FlushAsync(cancellationToken));

        public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken) => NoteAsync(inner.SetLengthAsync(length, cancellationToken));

        public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken) =>
            NoteAsync(inner.PunchHoleAsync(offset, length, cancellationToken));

        public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken) =>
            NoteAsync(inner.AllocateZeroesAsync(offset, length, cancellationToken));

        public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken) =>
            inner.GetExtentAsync(offset, length, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();

        private async ValueTask NoteAsync(ValueTask change)
        {
            await change;
            note();
        }
    }
}
