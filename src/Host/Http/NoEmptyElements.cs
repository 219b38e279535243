using System.Collections;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Godwit.Host.Http;

/// <summary>Refuses lists with a null in them: no request has a use for one, and the types behind say that there is none, which JSON does not know.</summary>
internal static class NoEmptyElements
{
    /// <summary>Adds the check to a type that is a list.</summary>
    public static void Apply(JsonTypeInfo type)
    {
        if (type.Kind == JsonTypeInfoKind.Enumerable)
        {
            type.OnDeserialized = Check;
        }
    }

    private static void Check(object list)
    {
        foreach (var element in (IEnumerable)list)
        {
            if (element is null)
            {
                throw new JsonException("A list has a null in it.");
            }
        }
    }
}
