using Godwit.Cli.Disks.Foreign;
using Godwit.Storage;
using Godwit.Storage.Chains;

namespace Godwit.Cli.Disks;

/// <summary>The disk that <c>disk convert</c> reads: an image of Godwit's own formats, or one that qemu-nbd reads for it.</summary>
internal sealed class ConvertSource : IAsyncDisposable
{
    private readonly IAsyncDisposable _owner;

    private ConvertSource(string path, ConvertFormat format, BlockDevice device, IAsyncDisposable owner)
    {
        Path = path;
        Format = format;
        Device = device;
        _owner = owner;
    }

    /// <summary>The file, absolute.</summary>
    public string Path { get; }

    /// <summary>Every file that is read: the image's own, then its parents'.</summary>
    public required IReadOnlyList<string> Files { get; init; }

    /// <summary>What it is.</summary>
    public ConvertFormat Format { get; }

    /// <summary>What it holds.</summary>
    public BlockDevice Device { get; }

    /// <summary>Logical sectors in bytes.</summary>
    public int LogicalSectorSize { get; private init; } = 512;

    /// <summary>Physical sectors in bytes.</summary>
    public int PhysicalSectorSize { get; private init; } = 4096;

    /// <summary>The disk's identity, where the format has one.</summary>
    public Guid? Identifier { get; private init; }

    /// <summary>Opens a file for reading.</summary>
    /// <param name="path">The file.</param>
    /// <param name="format">What it is; told by its content when null.</param>
    /// <param name="options">How to find its parents.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<ConvertSource> OpenAsync(
        string path, ConvertFormat? format, ChainOptions options, CancellationToken cancellationToken)
    {
        var foreign = format is { Own: null } ? format.Word : format is null ? await ForeignImages.DetectAsync(path, cancellationToken) : null;
        if (foreign is not null)
        {
            var export = await ForeignSource.OpenAsync(path, foreign, cancellationToken);
            return new ConvertSource(path, new ConvertFormat(foreign, null), export.Device, export) { Files = [path] };
        }

        var found = await DiskShow.DescribeAsync(path, format?.Own, cancellationToken);
        var chain = await DiskChain.OpenAsync(
            path, options with { Format = ImageFormats.ToImage(found.Format), ReadOnly = true }, cancellationToken);
        return new ConvertSource(path, ConvertFormat.Of(found.Format), chain.Device, chain.Device)
        {
            Files = [.. chain.Layers.Select(layer => layer.Path)],
            LogicalSectorSize = found.LogicalSectorSize,
            PhysicalSectorSize = found.PhysicalSectorSize,
            Identifier = found.Identifier,
        };
    }

    /// <summary>Does something with the disk; a program that reads it for us and ends meanwhile is told with what it said.</summary>
    public Task<T> UseAsync<T>(Func<BlockDevice, Task<T>> use, CancellationToken cancellationToken) =>
        _owner is ForeignSource foreign ? foreign.UseAsync(use, cancellationToken) : use(Device);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _owner.DisposeAsync();
}
