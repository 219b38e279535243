namespace Godwit.Benchmarks.Nbd;

/// <summary>The median.</summary>
internal static class Middle
{
    /// <summary>The value in the middle; of an even number of them the upper of both.</summary>
    public static double Of(IReadOnlyCollection<double> values) => values.Order().ElementAt(values.Count / 2);
}
