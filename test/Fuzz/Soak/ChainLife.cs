using System.Runtime.InteropServices;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Testing;

namespace Godwit.Fuzz.Soak;

/// <summary>The life of one chain of image files in a folder of its own: random requests to its leaf, and between them snapshots,
/// merges, rebases, growths, openings and kills; compared with the model all the time.</summary>
/// <remarks>Everything follows from the seed. Every layer's content is remembered, not the leaf's alone.</remarks>
internal sealed partial class ChainLife(ChainFormat format, int seed, ChainCounts counts) : IDisposable
{
    private const int Sector = SectorModel.Sector;
    private const int MinLayers = 3;
    private const int MaxLayers = 8;
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly ChainOptions Writing = new();
    private readonly TempFolder _folder = new(Directory.Exists("/dev/shm") ? "/dev/shm" : null);
    private readonly Random _random = new(seed);
    private readonly List<Layer> _layers = [];
    private readonly SectorModel _model = new(format.Size);
    private BlockDevice _disk = null!;
    private int _id;
    private int _files;

    private string Leaf => _layers[^1].Path;

    public void Dispose() => _folder.Dispose();

    /// <summary>Lives through that many requests.</summary>
    /// <exception cref="SoakFailure">The disk and the model differ; says at which operation.</exception>
    public async ValueTask RunAsync(int operations)
    {
        counts.Lives++;
        var operation = 0;
        try
        {
            await BuildAsync();
            for (; operation < operations; operation++, counts.Operations++)
                await StepAsync();
            await _disk.DisposeAsync();
            await CheckAllAsync();
        }
        catch (Exception error) when (error is SoakFailure or StorageException)
        {
            throw new SoakFailure($"{format.Name}, chain seed {seed}, operation {operation}, {_layers.Count} layers: {error.Message}", error);
        }
    }

    private async ValueTask BuildAsync()
    {
        var path = NewPath();
        await DiskImage.CreateAsync(path, format.Base, format.Size, format.Options, None);
        _layers.Add(new Layer(path));
        await OpenAsync();
        while (_layers.Count < MinLayers)
        {
            for (var change = 0; change < 10; change++)
                await WriteAsync();
            await SnapshotAsync();
        }
    }

    private ValueTask StepAsync() => _random.Next(1000) switch
    {
        < 450 => WriteAsync(),
        < 600 => ReadAsync(),
        < 700 => ZeroAsync(),
        < 800 => TrimAsync(),
        < 880 => FlushAsync(),
        < 900 => ReopenAsync(),
        < 920 => GrowAsync(),
        < 935 => KillAsync(),
        < 965 => _layers.Count < MaxLayers ? SnapshotAsync() : MergeAsync(),
        < 990 => _layers.Count > MinLayers ? MergeAsync() : SnapshotAsync(),
        _ => _layers.Count > MinLayers ? RebaseAsync() : SnapshotAsync(),
    };

    private async ValueTask OpenAsync() => _disk = (await DiskChain.OpenAsync(Leaf, Writing, None)).Device;

    private async ValueTask WriteAsync()
    {
        var change = NewChange(++_id);
        var bytes = new byte[change.Count * Sector];
        for (var index = 0; index < change.Count; index++)
            MemoryMarshal.Cast<byte, long>(bytes.AsSpan(index * Sector, Sector)).Fill(change.ValueAt(change.First + index));
        await _disk.WriteAsync(change.First * Sector, bytes, _random.Next(8) == 0 ? WriteFlags.ForceUnitAccess : WriteFlags.None, None);
        _model.Apply(change, forced: true);
    }

    private async ValueTask ReadAsync()
    {
        var range = NewChange(0);
        var bytes = new byte[range.Count * Sector];
        await _disk.ReadAsync(range.First * Sector, bytes, None);
        var found = new Dictionary<long, long>();
        DiskWalk.Collect(bytes, range.First * Sector, found);
        for (var sector = range.First; sector < range.First + range.Count; sector++)
        {
            if (found.GetValueOrDefault(sector) != _model.Now(sector))
                throw new SoakFailure($"a read of sector {sector} gives {found.GetValueOrDefault(sector):x} instead of {_model.Now(sector):x}");
        }
    }

    private async ValueTask ZeroAsync()
    {
        var change = NewChange(0);
        var flags = _random.Next(4) switch { 0 => WriteFlags.KeepAllocated, 1 => WriteFlags.HideParent, _ => WriteFlags.None };
        await _disk.WriteZeroesAsync(change.First * Sector, change.Count * Sector, flags, None);
        _model.Apply(change, forced: true);
    }

    private async ValueTask TrimAsync()
    {
        var change = NewChange(0);
        await _disk.TrimAsync(change.First * Sector, change.Count * Sector, None);
        if (_disk.Capabilities.Trim == TrimResult.Zeroes)
            _model.Apply(change, forced: true);
    }

    private ValueTask FlushAsync() => _disk.FlushAsync(None);

    private async ValueTask GrowAsync()
    {
        var unit = _disk.Capabilities.SectorSize;
        var length = _model.Length + (_random.Next(1, 2048) * (long)unit);
        if (length > 2 * format.Size)
            return;
        try
        {
            await _disk.ResizeAsync(length, None);
        }
        catch (StorageException error) when (error.Kind is StorageErrorKind.Unsupported or StorageErrorKind.InvalidRequest)
        {
            // No room in the table: nothing has changed, as the next look will show.
            return;
        }

        counts.Growths++;
        _model.Grow(length);
        _model.Flush();
    }

    /// <summary>A range that often starts or ends at a block's edge; now and then a whole block or two.</summary>
    private Change NewChange(int id)
    {
        var unit = _disk.Capabilities.SectorSize / Sector;
        var total = _model.Length / Sector / unit;
        var block = Math.Max(1, (512 << 10) / Sector / unit);
        var first = _random.NextInt64(total);
        if (_random.Next(2) == 0)
            first = Math.Clamp((first / block * block) + _random.Next(-4, 5), 0, total - 1);
        long count = 1 + _random.Next(1 << _random.Next(1, 9));
        if (id == 0 && _random.Next(6) == 0)
            (first, count) = (first / block * block, block * _random.Next(1, 5));
        return new Change(id, first * unit, Math.Min(count, total - first) * unit);
    }
}
