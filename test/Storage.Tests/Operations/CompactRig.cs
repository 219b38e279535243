using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Formats.Vhd;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Images in memory that have something to compact, and what they must read as.</summary>
internal sealed class CompactRig
{
    public const int MiB = 1 << 20;
    public const int Size = 7 * MiB;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly bool _vhd;
    private readonly byte[]? _parent;
    private readonly byte[] _buffer = new byte[64 << 10];

    private CompactRig(string kind)
    {
        _vhd = kind.StartsWith("vhd-", StringComparison.Ordinal);
        _parent = kind.EndsWith("child", StringComparison.Ordinal) ? new byte[Size] : null;
        Content = new byte[Size];
    }

    /// <summary>What the disk reads as.</summary>
    public byte[] Content { get; private set; }

    public MemoryFile File { get; private set; } = null!;

    public bool IsVhd => _vhd;

    public int BlockSize => _vhd ? 512 << 10 : MiB;

    /// <summary>Writes blocks in a random order, some of them zeroes, some given away again, so that gaps are left.</summary>
    public static async Task<CompactRig> CreateAsync(string kind, int seed)
    {
        var rig = new CompactRig(kind);
        var random = new Random(seed);
        if (rig._parent is byte[] parent)
        {
            for (var at = 0; at < Size; at += MiB)
                random.NextBytes(parent.AsSpan(at, random.Next(2) * 8192));
            rig.Content = (byte[])parent.Clone();
        }

        rig.File = await rig.FormatAsync();
        await using (var disk = await rig.OpenAsync(rig.File))
            await rig.FillAsync(disk, random);
        rig.File = rig.File.Reopen();
        return rig;
    }

    /// <summary>An image without a block, over a parent of zeroes if it has one.</summary>
    public static async Task<CompactRig> CreateEmptyAsync(string kind)
    {
        var rig = new CompactRig(kind);
        rig.File = await rig.FormatAsync();
        return rig;
    }

    /// <summary>A child that has every block and is like its parent everywhere.</summary>
    public static async Task<CompactRig> CreateEqualAsync(string kind)
    {
        var rig = new CompactRig(kind);
        new Random(1).NextBytes(rig._parent!);
        rig.Content = (byte[])rig._parent!.Clone();
        rig.File = await rig.FormatAsync();
        await using (var disk = await rig.OpenAsync(rig.File))
        {
            // In two parts, so that blocks of a VHDX are partially present to begin with.
            await rig.WriteAsync(disk, Size / 2, rig.Content[(Size / 2)..]);
            await rig.WriteAsync(disk, 0, rig.Content[..(Size / 2)]);
        }

        rig.File = rig.File.Reopen();
        return rig;
    }

    public async ValueTask<BlockDevice> OpenAsync(IStorageFile file, bool keepsLinkage = false) => _vhd
        ? await VhdSample.OpenAsync(file, file.IsReadOnly, Parent())
        : await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = Parent(), KeepsDataWriteGuid = keepsLinkage }, None);

    /// <summary>An image of which at least two blocks have to be moved; always the same one.</summary>
    public static async Task<CompactRig> CreateMovingAsync(string kind)
    {
        for (var seed = 1; ; seed++)
        {
            var rig = await CreateAsync(kind, seed);
            if ((await rig.CompactAsync(rig.File)).BlocksMoved >= 2)
                return await CreateAsync(kind, seed);
        }
    }

    /// <summary>The same image, opened anew after its owner has closed it.</summary>
    public CompactRig Reopened()
    {
        File = File.Reopen();
        return this;
    }

    /// <summary>Compacts an opening of the image to its clean end.</summary>
    public async Task<CompactResult> CompactAsync(IStorageFile file, long batch = 64 << 20)
    {
        await using var disk = await OpenAsync(file, keepsLinkage: true);
        return await DiskCompact.RunAsync(disk, ImageFormat.Raw, new CompactOptions { ZeroesOnly = true, BatchBytes = batch }, _ => { }, None);
    }

    /// <summary>The image is sound and reads as it should.</summary>
    public async Task JudgeAsync(MemoryFile file, string what)
    {
        var report = _vhd ? await VhdCheck.RunAsync(file, None) : await VhdxCheck.RunAsync(file, None);
        Assert.True(report.IsSound, $"{what}: {string.Join("; ", report.Findings)}");
        await using var disk = await OpenAsync(file);
        for (var at = 0; at < Size;)
        {
            var extent = await disk.GetExtentAsync(at, Size - at, None);
            var part = _buffer.AsMemory(0, (int)Math.Min(extent.Length, _buffer.Length));
            part.Span.Clear();
            if (!extent.ReadsAsZeroes)
                await disk.ReadAsync(at, part, None);
            if (!part.Span.SequenceEqual(Content.AsSpan(at, part.Length)))
                Assert.Fail($"{what}: another content from {at} on");
            at += part.Length;
        }
    }

    /// <summary>What nobody owns.</summary>
    public async Task<List<FileRange>> GapsAsync(MemoryFile file)
    {
        if (_vhd)
            return (await VhdExamination.RunAsync(file, VhdxFindings.Strict(file), None)).Sparse!.Layout.Gaps;
        var image = await VhdxImage.OpenAsync(file, readOnly: true, new VhdxOpenOptions(), VhdxFindings.Collecting(file), None);
        return image.Layout.Gaps;
    }

    private BlockDevice? Parent() => _parent is null ? null : VhdSample.ParentOf(_parent);

    private async Task<MemoryFile> FormatAsync()
    {
        if (_vhd)
            return _parent is null ? await VhdSample.CreateAsync(Size) : await VhdSample.CreateChildAsync(Size);
        var file = new MemoryFile(path: "compact.vhdx");
        var parent = _parent is null ? null : VhdxSample.SomeParent;
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = Size, BlockSize = MiB, Parent = parent }, None);
        return file;
    }

    private async Task FillAsync(BlockDevice disk, Random random)
    {
        var blocks = Enumerable.Range(0, Size / BlockSize).ToArray();
        random.Shuffle(blocks);
        foreach (var block in blocks)
        {
            var at = block * BlockSize;
            switch (random.Next(7))
            {
                case 0:
                    await WriteAsync(disk, at, new byte[BlockSize]);
                    break;
                case 1:
                    await WriteAsync(disk, at, CrashHistory.Content(block + 1, at, 8192));
                    await disk.WriteZeroesAsync(at, BlockSize, WriteFlags.HideParent, None);
                    Content.AsSpan(at, BlockSize).Clear();
                    break;
                case 2:
                    await WriteAsync(disk, at + BlockSize - 12288, CrashHistory.Content(block + 1, at, 12288));
                    break;
                case 3:
                    // Stays, with zeroes inside that somebody has written.
                    await WriteAsync(disk, at, [.. CrashHistory.Content(block + 1, at, 20480), .. new byte[BlockSize - 20480]]);
                    break;
                case 4:
                    // What the parent has, if there is one.
                    await WriteAsync(disk, at, Content[at..(at + BlockSize)]);
                    break;
                default:
                    await WriteAsync(disk, at + 4096, CrashHistory.Content(block + 1, at, 20480));
                    break;
            }
        }
    }

    /// <summary>Writes into the disk and into what it must read as.</summary>
    public async Task WriteAsync(BlockDevice disk, int at, byte[] bytes)
    {
        await disk.WriteAsync(at, bytes, WriteFlags.None, None);
        bytes.CopyTo(Content, at);
    }
}
