using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>What is in image files: blocks of their own, and a parent for the rest. Fails a test where somebody would lose what is read through a chain.</summary>
internal sealed class FakeContents
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Dictionary<int, int>> _own = [];
    private readonly Dictionary<string, string> _parents = [];

    /// <summary>What went wrong, in words.</summary>
    public List<string> Damage { get; } = [];

    public void Over(string child, string parent)
    {
        lock (_gate)
            _parents[child] = parent;
    }

    public void Write(string file, int block, int value)
    {
        lock (_gate)
        {
            if (_parents.ContainsValue(file))
                Damage.Add($"{file} is written to although it is a parent");
            Own(file)[block] = value;
        }
    }

    public void Renamed(string from, string to)
    {
        lock (_gate)
        {
            if (_own.Remove(from, out var blocks))
                _own[to] = blocks;
            if (_parents.Remove(from, out var parent))
                _parents[to] = parent;
        }
    }

    public void Deleted(string file)
    {
        lock (_gate)
        {
            foreach (var orphan in _parents.Where(pair => pair.Value == file).Select(pair => pair.Key).ToList())
                Damage.Add($"{file} is deleted although it is the parent of {orphan}");
            _own.Remove(file);
            _parents.Remove(file);
        }
    }

    /// <summary>As a merge does: the target takes in what the layer has, and becomes the parent of what is over it.</summary>
    public void Merged(string layer, string target)
    {
        lock (_gate)
        {
            if (_parents.GetValueOrDefault(layer) != target)
                Damage.Add($"{layer} is merged into {target}, which is not its parent");
            if (_parents.Count(pair => pair.Value == target) > 1)
                Damage.Add($"{layer} is merged into {target}, which is the parent of others too");
            if (_parents.Count(pair => pair.Value == layer) > 1)
                Damage.Add($"{layer} is merged although it is the parent of several");
            foreach (var (block, value) in Own(layer))
                Own(target)[block] = value;
            foreach (var child in _parents.Where(pair => pair.Value == layer).Select(pair => pair.Key).ToList())
                _parents[child] = target;
        }
    }

    /// <summary>The parent of an image, or null.</summary>
    public string? ParentOf(string file)
    {
        lock (_gate)
            return _parents.GetValueOrDefault(file);
    }

    /// <summary>What a guest reads.</summary>
    public string Read(string file)
    {
        lock (_gate)
        {
            var seen = new SortedDictionary<int, int>();
            for (string? at = file; at is not null; at = _parents.GetValueOrDefault(at))
            {
                foreach (var (block, value) in Own(at))
                    seen.TryAdd(block, value);
            }
            return string.Join(' ', seen.Select(pair => $"{pair.Key}={pair.Value}"));
        }
    }

    public void AssertWhole() => Assert.Empty(Damage);

    private Dictionary<int, int> Own(string file)
    {
        if (!_own.TryGetValue(file, out var blocks))
            _own[file] = blocks = [];
        return blocks;
    }
}
