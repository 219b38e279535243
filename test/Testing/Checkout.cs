namespace Godwit.Testing;

/// <summary>The checkout that the running test program was built from.</summary>
public static class Checkout
{
    /// <summary>Its folder.</summary>
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Godwit.slnx")))
                return folder;
        }

        throw new InvalidOperationException($"no checkout above {AppContext.BaseDirectory}: run this program from inside one");
    }
}
