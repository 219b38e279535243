using System.Numerics;

namespace Godwit.Storage.Chains;

/// <summary>Remembers, block by block, which layer of a chain a read has to begin at, so that it does not go through
/// all those that have nothing there.</summary>
/// <remarks>Only layers that are open for reading are skipped: what they have does not change. Two bytes per block that has been read. Safe from any
/// thread: who looks at the same time finds the same.</remarks>
internal sealed class LayerMemo
{
    // With fewer layers looking here costs as much as looking there.
    private const int FewestLayers = 3;
    private const int SmallestUnit = 64 << 10;
    private const int PageShift = 12;
    private readonly BlockDevice[] _layers;
    private readonly ushort[]?[] _pages;
    private readonly int _shift;

    private LayerMemo(BlockDevice[] layers, int unit)
    {
        _layers = layers;
        _shift = BitOperations.Log2((uint)unit);
        _pages = new ushort[]?[(layers[0].Length >> _shift >> PageShift) + 1];
    }

    /// <summary>For a chain that is deep enough; else null.</summary>
    /// <param name="top">The first layer that may be skipped.</param>
    public static LayerMemo? TryCreate(BlockDevice top)
    {
        List<BlockDevice> layers = [top];
        var unit = int.MaxValue;
        while (layers[^1] is ILayer { Beneath: { } view } layer && layers[^1].Capabilities.ReadOnly && layers.Count < ushort.MaxValue
            && BitOperations.IsPow2(layer.BlockLength) && view.Parent.Capabilities.SectorSize == top.Capabilities.SectorSize)
        {
            unit = Math.Min(unit, layer.BlockLength);
            layers.Add(view.Parent);
        }

        return layers.Count >= FewestLayers && unit >= SmallestUnit ? new LayerMemo([.. layers], unit) : null;
    }

    /// <summary>The layer to read a range from; whole sectors inside the topmost one.</summary>
    public BlockDevice Find(long offset, int length)
    {
        var unit = offset >> _shift;
        if ((offset + length - 1) >> _shift != unit)
            return _layers[0];
        var page = Volatile.Read(ref _pages[unit >> PageShift]);
        var known = page?[unit & ((1 << PageShift) - 1)] ?? 0;
        return known > 0 ? _layers[known - 1] : Look(unit);
    }

    private BlockDevice Look(long unit)
    {
        var (start, length) = (unit << _shift, 1 << _shift);
        var index = 0;
        while (index + 1 < _layers.Length && start + length <= Math.Min(_layers[index].Length, _layers[index + 1].Length))
        {
            var nothing = ((ILayer)_layers[index]).HasNothing(start, length);
            if (nothing is null)
                return _layers[index];
            if (nothing is false)
                break;
            index++;
        }

        Remember(unit, (ushort)(index + 1));
        return _layers[index];
    }

    private void Remember(long unit, ushort number)
    {
        ref var slot = ref _pages[unit >> PageShift];
        var page = Volatile.Read(ref slot) ?? Interlocked.CompareExchange(ref slot, new ushort[1 << PageShift], null) ?? slot;
        page[unit & ((1 << PageShift) - 1)] = number;
    }
}
