using System.Runtime.InteropServices;
using Godwit.Storage;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Soak;

/// <summary>The life of one disk: random requests, openings and crashes, compared with the model all the time.</summary>
/// <remarks>Everything follows from the seed. A kill at rest leaves the file as the process left it, with what was not
/// flushed; a kill inside a request and a power cut go on from the judged state.</remarks>
internal sealed partial class SoakLife(SoakFormat format, int seed, SoakCounts counts, ToolOracle? tools)
{
    private const int Sector = SectorModel.Sector;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly Random _random = new(seed);
    private SectorModel _model = new(0);
    private CrashFile _file = new();
    private BlockDevice _disk = null!;
    private Guid _boot;
    private int _guids;
    private int _id;

    /// <summary>Lives through that many requests.</summary>
    /// <exception cref="SoakFailure">The disk and the model differ; says at which operation.</exception>
    public async ValueTask RunAsync(int operations)
    {
        counts.Lives++;
        var size = format.Sizes[_random.Next(format.Sizes.Count)];
        var start = new MemoryFile(path: $"soak-{seed}");
        await format.CreateAsync(start, size, NewGuid);
        _model = new SectorModel(size);
        if (format.Parent is SoakParent parent)
            _model.Adopt(parent.Sectors, size);
        _boot = NewGuid();
        await StartAsync(start);
        var operation = 0;
        try
        {
            for (; operation < operations; operation++, counts.Operations++)
                await StepAsync();
            await CheckWholeAsync();
            await _disk.DisposeAsync();
        }
        catch (Exception error) when (error is SoakFailure or StorageException)
        {
            throw new SoakFailure($"{format.Name}, {size} bytes, life seed {seed}, operation {operation}: {error.Message}", error);
        }
    }

    private async ValueTask StartAsync(MemoryFile image)
    {
        _file = new CrashFile(image, image.Path);
        await OpenAsync();
    }

    private async ValueTask OpenAsync() => _disk = await format.OpenAsync(_file, false, _boot, NewGuid);

    private Guid NewGuid() => new(seed, (short)(++_guids >> 16), (short)_guids, [1, 2, 3, 4, 5, 6, 7, 8]);

    private ValueTask StepAsync() => _random.Next(1000) switch
    {
        < 430 => WriteAsync(),
        < 560 => ReadAsync(),
        < 640 => FlushAsync(),
        < 700 => TrimAsync(),
        < 800 => ZeroAsync(),
        < 850 => ExtentAsync(),
        < 860 => GrowAsync(),
        < 875 => ReopenAsync(),
        < 880 => LookAsync(),
        < 905 => KillAsync(),
        < 925 => CrashInsideAsync(powerCut: false),
        < 960 => PowerCutAsync(),
        _ => CrashInsideAsync(powerCut: true),
    };

    private async ValueTask WriteAsync()
    {
        var change = NewChange(zeroes: false);
        var forced = _random.Next(8) == 0;
        await WriteAsync(change, forced);
        _model.Apply(change, forced);
    }

    private ValueTask WriteAsync(Change change, bool forced)
    {
        var bytes = new byte[change.Count * Sector];
        for (var index = 0; index < change.Count; index++)
            MemoryMarshal.Cast<byte, long>(bytes.AsSpan(index * Sector, Sector)).Fill(change.ValueAt(change.First + index));
        return _disk.WriteAsync(change.First * Sector, bytes, forced ? WriteFlags.ForceUnitAccess : WriteFlags.None, None);
    }

    private async ValueTask ReadAsync()
    {
        var range = NewChange(zeroes: false);
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

    private async ValueTask FlushAsync()
    {
        await _disk.FlushAsync(None);
        _model.Flush();
    }

    private async ValueTask TrimAsync()
    {
        var change = NewChange(zeroes: true);
        await _disk.TrimAsync(change.First * Sector, change.Count * Sector, None);
        if (_disk.Capabilities.Trim == TrimResult.Zeroes)
            _model.Apply(change, forced: false);
    }

    private async ValueTask ZeroAsync()
    {
        var change = NewChange(zeroes: true);
        var flags = (WriteFlags)0;
        var forced = _random.Next(6) == 0;
        flags |= forced ? WriteFlags.ForceUnitAccess : WriteFlags.None;

        // Space for a whole disk of many TiB is nothing to ask for: kept allocated are small ranges only.
        flags |= change.Count <= 4096 && _random.Next(3) == 0 ? WriteFlags.KeepAllocated : WriteFlags.None;
        await _disk.WriteZeroesAsync(change.First * Sector, change.Count * Sector, flags, None);
        _model.Apply(change, forced);
    }

    private async ValueTask ExtentAsync()
    {
        var range = NewChange(zeroes: true);
        var extent = await _disk.GetExtentAsync(range.First * Sector, range.Count * Sector, None);
        if (extent.Offset != range.First * Sector || extent.Length <= 0 || extent.Length > range.Count * Sector)
            throw new SoakFailure($"asked for {range} the disk answers with {extent}");
        for (var sector = range.First; extent.ReadsAsZeroes && sector < Math.Min(extent.End / Sector, range.First + 4096); sector++)
        {
            if (_model.Now(sector) != 0)
                throw new SoakFailure($"{extent} hides the data in sector {sector}");
        }
    }

    private async ValueTask GrowAsync()
    {
        // Doubling at most: a life must not end with all the table's room gone.
        var sector = _disk.Capabilities.SectorSize;
        var length = _model.Length + (_random.Next(1, 1 + (int)Math.Min(4096, _model.Length / sector)) * (long)sector);
        if (!_disk.Capabilities.CanResize)
            return;
        try
        {
            await _disk.ResizeAsync(length, None);
            _model.Grow(length);
        }
        catch (StorageException error) when (error.Kind is StorageErrorKind.Unsupported or StorageErrorKind.InvalidRequest)
        {
            // No room in the table, or the format's limit: nothing has changed, as the next look will show.
        }
    }

    /// <summary>A range near an edge of some block, now and then a whole block or several.</summary>
    private Change NewChange(bool zeroes)
    {
        var unit = _disk.Capabilities.SectorSize / Sector;
        var total = _model.Length / Sector / unit;
        var block = format.BlockSize / Sector / unit;
        var blocks = Math.Max(1, total / block);
        var near = (_random.Next(8) == 0 ? _random.NextInt64(blocks) : Math.Min(blocks, NextBlock())) * block;
        var first = Math.Clamp(near + (_random.Next(3) * _random.Next(-40, 41)) + (_random.Next(4) == 0 ? _random.Next(block) : 0), 0, total - 1);
        var count = zeroes && _random.Next(4) == 0 ? block * (long)_random.Next(1, 4) : 1 + _random.Next(1 << _random.Next(1, 9));
        if (zeroes && _random.Next(3) == 0)
            first = first / block * block;
        count = Math.Min(count, total - first);
        return new Change(zeroes ? 0 : ++_id, first * unit, count * unit);
    }

    /// <summary>Few blocks, so that they meet often; those at the ends of table pages and chunks among them.</summary>
    private long NextBlock() => _random.Next(10) switch
    {
        0 => (_model.Length / format.BlockSize) - 1 is > 0 and var last ? last : 0,
        1 => 511 + _random.Next(3),
        2 => ((4L << 30) / format.BlockSize) + _random.Next(-1, 2),
        _ => _random.Next(6),
    };
}
