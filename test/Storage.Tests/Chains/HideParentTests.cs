using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Tests.Formats.Vhd;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

/// <summary>Zeroes written with <see cref="WriteFlags.HideParent"/> are the image's own, whatever its parent reads as: under another
/// parent they are still there.</summary>
public sealed class HideParentTests
{
    private const int MiB = 1 << 20;
    private const int Size = (6 * MiB) + 1536;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Ranges in blocks of 1 MiB: whole blocks, parts, over a border, the last sectors, a single one.</summary>
    private static readonly (int Offset, int Length)[] Ranges =
        [(MiB, MiB), (2 * MiB, 4096), (3 * MiB - 1024, 2048), ((4 * MiB) + 512, (MiB) - 512), (6 * MiB, 1536), ((5 * MiB) + 512, 512)];

    [Theory(Timeout = 30_000)]
    [InlineData("VHDX", WriteFlags.HideParent)]
    [InlineData("VHDX", WriteFlags.HideParent | WriteFlags.KeepAllocated)]
    [InlineData("VHDX", WriteFlags.HideParent | WriteFlags.ForceUnitAccess)]
    [InlineData("VHD", WriteFlags.HideParent)]
    [InlineData("VHD", WriteFlags.HideParent | WriteFlags.KeepAllocated)]
    public async Task Zeroes_hide_a_parent_that_reads_as_zeroes_and_any_other_one(string family, WriteFlags flags)
    {
        var file = await CreateAsync(family);
        await using (var disk = await OpenAsync(family, file.Reopen(), Parent(0)))
        {
            // One block has bytes of its own in front of and behind what is zeroed, one has all of them.
            await disk.WriteAsync((2 * MiB) + 8192, VhdxSample.Pattern(1, 4096), WriteFlags.None, None);
            await disk.WriteAsync(4 * MiB, VhdxSample.Pattern(2, MiB), WriteFlags.None, None);
            foreach (var (offset, length) in Ranges)
                await disk.WriteZeroesAsync(offset, length, flags, None);
        }

        var expected = new byte[Size];
        expected.AsSpan().Fill(0xEE);
        VhdxSample.Pattern(1, 4096).CopyTo(expected, (2 * MiB) + 8192);
        VhdxSample.Pattern(2, MiB).CopyTo(expected, 4 * MiB);
        foreach (var (offset, length) in Ranges)
            expected.AsSpan(offset, length).Clear();
        await using var moved = await OpenAsync(family, file.Reopen(), Parent(0xEE));
        var read = await VhdxSample.ReadAsync(moved, 0, Size);
        Assert.True(expected.AsSpan().SequenceEqual(read), $"differs at {expected.AsSpan().CommonPrefixLength(read)}");
        foreach (var (offset, length) in Ranges)
            Assert.Equal(0, (await moved.GetExtentAsync(offset, length, None)).Layer);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("VHDX", WriteFlags.None)]
    [InlineData("VHD", WriteFlags.None)]
    public async Task Without_the_flag_zeroes_over_zeroes_cost_nothing(string family, WriteFlags flags)
    {
        var file = await CreateAsync(family);
        var before = file.ToArray();
        await using (var disk = await OpenAsync(family, file.Reopen(), Parent(0)))
        {
            foreach (var (offset, length) in Ranges)
                await disk.WriteZeroesAsync(offset, length, flags, None);
        }

        Assert.True(before.AsSpan().SequenceEqual(file.ToArray()));
    }

    /// <summary>A whole block is a state of the table: no place in the file is taken for it.</summary>
    [Fact(Timeout = 30_000)]
    public async Task A_whole_block_of_a_vhdx_takes_no_place()
    {
        var file = await CreateAsync("VHDX");
        var length = file.Length;
        await using (var disk = await OpenAsync("VHDX", file.Reopen(), Parent(0)))
            await disk.WriteZeroesAsync(0, 4 * MiB, WriteFlags.HideParent, None);
        Assert.Equal(length, file.Reopen().Length);
        for (var block = 0; block < 4; block++)
            Assert.Equal(2, (await VhdxSample.PeekAsync(file, VhdxSample.BatOffset + (block * 8), 1))[0]);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task After_a_crash_hidden_is_hidden_and_nothing_else_shows(string family)
    {
        var file = new CrashFile(await CreateAsync(family));
        var disk = await OpenAsync(family, file, Parent(0xEE));
        var acknowledged = new int[Ranges.Length];
        for (var index = 0; index < Ranges.Length; index++)
        {
            await disk.WriteZeroesAsync(Ranges[index].Offset, Ranges[index].Length, WriteFlags.HideParent, None);
            acknowledged[index] = file.EventCount;
        }

        await disk.FlushAsync(None);
        var flushed = file.EventCount;
        await disk.DisposeAsync();
        for (var events = 0; events <= file.EventCount; events++)
        {
            await JudgeAsync(file.AfterKill(events), index => acknowledged[index] <= events, $"killed after {events}");
            for (var draw = 0; draw < 3; draw++)
            {
                var image = file.AfterPowerCut(events, PowerCut.RandomSubset, (events * 3) + draw);
                await JudgeAsync(image, _ => flushed <= events, $"power cut after {events}, draw {draw}");
            }
        }

        async Task JudgeAsync(MemoryFile image, Func<int, bool> mustBeZero, string what)
        {
            await using var again = await OpenAsync(family, image, Parent(0xEE));
            var read = await VhdxSample.ReadAsync(again, 0, Size);
            for (var index = 0; index < Ranges.Length; index++)
            {
                var part = read.AsSpan(Ranges[index].Offset, Ranges[index].Length);
                Assert.False(part.ContainsAnyExcept((byte)0, (byte)0xEE), what);
                Assert.False(mustBeZero(index) && part.Contains((byte)0xEE), what);
                part.Fill(0xEE);
            }

            Assert.False(read.AsSpan().ContainsAnyExcept((byte)0xEE), what);
        }
    }

    private static async Task<MemoryFile> CreateAsync(string family)
    {
        var file = new MemoryFile(path: "child");
        if (family == "VHDX")
            await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = Size, BlockSize = MiB, Parent = VhdxSample.SomeParent }, None);
        else
            await VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = Size, BlockSize = MiB, Parent = VhdSample.Parent }, None);
        return file;
    }

    private static async Task<BlockDevice> OpenAsync(string family, IStorageFile file, BlockDevice parent) => family == "VHDX"
        ? await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = parent }, None)
        : await VhdSample.OpenAsync(file, parent: parent);

    private static ReferenceDisk Parent(byte fill)
    {
        var parent = new ReferenceDisk(Size);
        var bytes = new byte[Size];
        bytes.AsSpan().Fill(fill);
        parent.WriteAsync(0, bytes, WriteFlags.None, None).AsTask().Wait();
        return parent;
    }
}
